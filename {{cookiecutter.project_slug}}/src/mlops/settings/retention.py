"""Settings of how long is kept what nothing needs any more; `mlops prune` removes it."""

from pydantic import Field

from mlops.settings.criteria import Model


class Retention(Model):
    """What is kept in any case: what serves, what could be rolled back to, and what was promoted."""

    feature_days: int = Field(default=30, ge=1, le=3650, description="of versions that were never promoted")
    unused_days: int = Field(default=30, ge=1, le=3650, description="of models, configurations and files without use")
    keep: int = Field(default=10, ge=1, le=1000, description="newest versions, and versions to roll back to")
