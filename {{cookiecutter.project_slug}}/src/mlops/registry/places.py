"""Where an environment's bucket keeps what belongs to a model package, each thing under its own SHA-256."""

import boto3

from mlops import storage
from mlops.settings.project import Environment


def artefact(environment: Environment, fingerprint: str, digest: str) -> str:
    """Where an environment keeps the artefact of a package: its name says what it holds."""
    return f"s3://{environment.bucket}/models/{fingerprint}/{digest}/model.tar.gz"


def beside(environment: Environment, fingerprint: str, digest: str, name: str) -> str:
    """Where it keeps a file that drift or the next model is held against."""
    return f"s3://{environment.bucket}/baselines/{fingerprint}/{digest}/{name}"


def digest_in(uri: str) -> str:
    """The SHA-256 that is part of such an address; empty when it has none."""
    parts = uri.split("/")
    return parts[-2] if len(parts) > 2 and len(parts[-2]) == 64 else ""


def copied(session: boto3.Session, environment: Environment, source: str, fingerprint: str) -> str:
    """Copy a file into an environment's bucket, to lie beside a package; its address there."""
    digest = storage.digest(session, source)
    target = beside(environment, fingerprint, digest, source.rpartition("/")[2])
    storage.copy(session, source, target, digest, environment.kms_key)
    return target
