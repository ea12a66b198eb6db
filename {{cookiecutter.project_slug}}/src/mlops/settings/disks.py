"""The disks of instances: which of them a key of one's own encrypts."""

import re

LOCAL = re.compile(r"^ml\.([a-z]+[0-9]+[a-z]*d[a-z]*|g[5-9]e?|gr6|p[5-9][a-z]*(-[a-z0-9]+)?|i[0-9][a-z]*|trn[1-9]n?)\.")
"""Instance types with disks of their own, which encrypt them themselves and refuse a key. Source: SageMaker's API
reference, VolumeKmsKeyId of ResourceConfig and ProcessingClusterConfig."""


def key(kms_key: str | None, instance_type: str) -> str | None:
    """ARN of the key that encrypts the disk of an instance; None where AWS takes none, or there is none."""
    return None if LOCAL.match(instance_type) else kms_key
