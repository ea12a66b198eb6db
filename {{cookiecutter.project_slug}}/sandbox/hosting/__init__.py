"""SageMaker's hosting: models, endpoint configurations, endpoints with their rollouts, and invocations."""

from sandbox.hosting import configurations, endpoints, invocations, models

__all__ = ["configurations", "endpoints", "invocations", "models"]
