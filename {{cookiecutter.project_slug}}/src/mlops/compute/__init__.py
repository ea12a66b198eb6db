"""The pipeline's stages, run on a laptop or as SageMaker jobs."""
