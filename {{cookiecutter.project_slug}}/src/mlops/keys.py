"""Keys of KMS: what SageMaker's jobs are told of an environment's."""

import boto3

from mlops import aws
from mlops.settings import keys
from mlops.settings.project import Environment


def arn(session: boto3.Session, environment: Environment) -> str | None:
    """ARN of the environment's key itself; None where it has none.

    The disks of training and processing jobs take no alias, and nobody but KMS knows which key infra/ has made.

    Raises:
        Failure: there is no such key, or the role may not look at it.
    """
    key = keys.of(environment)
    if key is None or key == environment.kms_key:
        return key
    with aws.explained("DescribeKey", key):
        found = aws.client(session, "kms").describe_key(KeyId=key)
    return str(found["KeyMetadata"]["Arn"])
