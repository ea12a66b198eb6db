"""SageMaker's hosting: models, endpoint configurations, endpoints, invocations, and transform jobs of whole files."""

from sandbox.hosting import configurations, endpoints, invocations, models, transform

__all__ = ["configurations", "endpoints", "invocations", "models", "transform"]
