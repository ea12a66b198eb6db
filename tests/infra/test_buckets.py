"""The doctor says of each environment's bucket what it lacks, a line each, and whether its key is a customer's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops import aws
from mlops.settings.project import Environment
from mlops.settings.project import load as settings_of
from mlops.setup import buckets, state
from mlops.setup.health import Check

pytestmark = pytest.mark.slow

ACCOUNT = "222222222222"
BUCKET = f"churn-prod-{ACCOUNT}"
Examine = Callable[..., dict[str, Check]]


@pytest.fixture(scope="module")
def cloud(sandbox: Callable[..., Any]) -> Any:
    """Accounts with nothing in them."""
    return sandbox("--bare")


@pytest.fixture
def s3(cloud: Any) -> Iterator[Any]:
    """S3 with the bucket as it has to be."""
    client, kms = cloud.client("s3", "prod"), cloud.client("kms", "prod")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=BLOCK)
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(state.only_over_tls(BUCKET)))
    key = kms.create_key()["KeyMetadata"]["Arn"]
    client.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=encrypted("aws:kms", key))
    yield client
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def examined(cloud: Any, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """What the doctor says of production's bucket, by the first word of each line."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"sandbox-{ACCOUNT}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    (tmp_path / "mlops.yaml").write_text(settings.read_text().replace("aws: sandbox", "aws: account"))
    prod: Environment = settings_of(tmp_path).environment("prod")

    def run(**update: Any) -> dict[str, Check]:
        session = aws.opened("eu-west-1")
        return {each.what.partition(" ")[0]: each for each in buckets.checks(session, prod.model_copy(update=update))}

    return run


BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)


def encrypted(algorithm: str, key: str | None = None) -> dict[str, Any]:
    by = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": by}]}


def test_a_bucket_that_has_all_passes(s3: Any, examined: Examine) -> None:
    found = examined()

    assert list(found) == ["bucket", "versioning", "privacy", "transport", "encryption"]
    assert all(line.passed for line in found.values())


def test_a_bucket_that_is_not_there_is_one_line(examined: Examine) -> None:
    assert [(line.passed, bool(line.fix)) for line in examined().values()] == [(False, True)]


def weaker_transport(**change: Any) -> str:
    policy = state.only_over_tls(BUCKET)
    policy["Statement"][0] |= change
    return json.dumps(policy)


DAMAGE: list[tuple[str, str, dict[str, Any], str]] = [
    ("put_bucket_versioning", "versioning", {"VersioningConfiguration": {"Status": "Suspended"}}, "Suspended"),
    (
        "put_public_access_block", "privacy",
        {"PublicAccessBlockConfiguration": {**BLOCK, "BlockPublicPolicy": False}}, "off: BlockPublicPolicy",
    ),
    ("delete_public_access_block", "privacy", {}, "no block"),
    ("delete_bucket_policy", "transport", {}, "aws:SecureTransport"),
    ("put_bucket_policy", "transport", {"Policy": weaker_transport(Action="s3:PutObject")}, "aws:SecureTransport"),
    (
        "put_bucket_policy", "transport", {"Policy": weaker_transport(Resource=f"arn:aws:s3:::{BUCKET}/*")},
        "aws:SecureTransport",
    ),
    (
        "put_bucket_policy", "transport",
        {"Policy": weaker_transport(Condition={"Bool": {"aws:SecureTransport": "true"}})}, "aws:SecureTransport",
    ),
    (
        "put_bucket_encryption", "encryption", {"ServerSideEncryptionConfiguration": encrypted("AES256")},
        "AES256; not by a customer key",
    ),
    (
        "put_bucket_encryption", "encryption", {"ServerSideEncryptionConfiguration": encrypted("aws:kms")},
        "aws:kms; not by a customer key",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "line", "given", "told"), DAMAGE)
def test_what_a_bucket_lacks_is_one_line_with_its_fix(
    s3: Any, examined: Examine, operation: str, line: str, given: dict[str, Any], told: str
) -> None:
    getattr(s3, operation)(Bucket=BUCKET, **given)

    found = examined()

    assert [name for name, each in found.items() if not each.passed] == [line]
    assert told in found[line].found
    assert found[line].fix


def test_the_key_has_to_be_in_use_and_the_one_that_is_named(s3: Any, cloud: Any, examined: Examine) -> None:
    kms = cloud.client("kms", "prod")
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    key = rules[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    other = kms.create_key()["KeyMetadata"]["Arn"]

    assert examined(kms_key=key)["encryption"].passed
    assert f"and mlops.yaml names {other}" in examined(kms_key=other)["encryption"].found
    kms.disable_key(KeyId=key.rpartition("/")[2])
    assert "Disabled" in examined()["encryption"].found
