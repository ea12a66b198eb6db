"""Names that Terraform makes of mlops.yaml are the ones that everything else makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.settings import project as machinery
from mlops.settings.existing import DUTIES

pytestmark = pytest.mark.slow

SETTINGS = {
    "project": "tumour-classifier",
    "package": "tumour_classifier",
    "region": "eu-west-1",
    "kms_key": "arn:aws:kms:eu-west-1:111111111111:key/project",
    "role_path": "/mlops/",
    "environments": [
        {
            "name": "feature",
            "account": "111111111111",
            "bucket": "a-bucket-of-ours",
            "execution_role": "platform/sagemaker",
        },
        {
            "name": "dev",
            "account": "111111111111",
            "endpoint": {},
            "kms_key": None,
            "roles": {"deploy": "team/rollouts", "approve": "arn:aws:iam::333333333333:role/reviewers"},
        },
        {"name": "staging", "account": "222222222222", "endpoint": {}, "approval": "manual"},
        {
            "name": "prod",
            "account": "222222222222",
            "endpoint": {},
            "approval": "manual",
            "execution_role": "arn:aws:iam::222222222222:role/platform/sagemaker",
        },
    ],
    "stages": {},
}


def test_names_are_the_machinerys(initialised: Any, tmp_path: Path) -> None:
    file = tmp_path / "mlops.yaml"
    file.write_text(yaml.safe_dump(SETTINGS))
    made = machinery.read(file)

    told = initialised.evaluate("local.environments", f"-var=settings={file}", "-var=environment=prod")

    assert told == [
        {
            "name": each.name,
            "account": each.account,
            "bucket": each.bucket,
            "manual": each.approval == "manual",
            "kms_key": each.kms_key,
            "roles": {duty: each.role(duty) for duty in DUTIES},
            "execution_role": each.execution_role,
            "groups": each.group_names,
            "endpoints": [each.endpoint_name] if each.endpoint else [],
        }
        for each in made.environments
    ]
