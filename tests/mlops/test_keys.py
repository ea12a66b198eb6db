"""The key that SageMaker is told: of what it is told none it takes AWS's own, whatever key the bucket has."""

from pathlib import Path

import pytest
import yaml

from mlops.compute import transforms
from mlops.hosting import endpoints
from mlops.monitoring import captures
from mlops.settings import keys
from mlops.settings.project import Settings, read

GIVEN = "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555"
ALIAS = "arn:aws:kms:eu-west-1:222222222222:alias/churn-prod"


def settings_of(folder: Path, infra: bool, **given: str) -> Settings:
    """A project with an endpoint that captures and one that answers in batch."""
    environments = [
        {"name": "feature", "account": "111111111111"},
        {"name": "dev", "account": "111111111111", "endpoint": {"kind": "batch"}},
        {"name": "prod", "account": "222222222222", "endpoint": {"capture": {"percent": 10}}},
    ]
    content = {"project": "churn", "package": "churn", "region": "eu-west-1", "environments": environments}
    if infra:
        (folder / "infra").mkdir()
    (folder / "mlops.yaml").write_text(yaml.safe_dump({**content, "stages": {}, **given}), encoding="utf-8")
    return read(folder / "mlops.yaml")


@pytest.mark.parametrize(
    ("infra", "given", "found"), [(True, {}, ALIAS), (False, {}, None), (True, {"kms_key": GIVEN}, GIVEN)]
)
def test_it_is_the_one_that_is_given_or_that_infra_makes(
    tmp_path: Path, infra: bool, given: dict[str, str], found: str | None
) -> None:
    assert keys.of(settings_of(tmp_path, infra, **given).environment("prod")) == found


def test_endpoints_captures_and_batches_are_told_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, infra=True)
    dev, prod = settings.environment("dev"), settings.environment("prod")
    wanted = transforms.Wanted("model", "s3://bucket/in/", {}, "text/csv", "text/csv", by_line=False)
    job = transforms.parameters(settings, dev, wanted, "job")
    capture = prod.endpoint.capture if prod.endpoint else None

    ours = ALIAS.replace("222222222222:alias/churn-prod", "111111111111:alias/churn-dev")
    assert job["TransformOutput"]["KmsKeyId"] == job["TransformResources"]["VolumeKmsKeyId"] == ours
    assert endpoints.variant_settings(settings, prod)["KmsKeyId"] == ALIAS
    captured = captures.configuration(prod, capture, "s3://bucket/captures/", "config")["DataCaptureConfig"]
    assert captured["KmsKeyId"] == ALIAS
