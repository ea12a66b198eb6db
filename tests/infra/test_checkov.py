"""What checkov finds in the Terraform code: nothing, but for what a comment there says the reason of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

# It wants a boto3 of its own and weighs as much as all the rest together: so it is no dependency of the tests.
CHECKOV = "checkov==3.3.30"


@pytest.fixture(scope="module")
def checkov(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command, once it is installed."""
    command = [os.environ.get("UV", "uv"), "tool", "run", "--python", sys.executable, "--from", CHECKOV]
    done = subprocess.run([*command, "python", "-c", ""], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        pytest.skip(f"PyPI is missing: checkov is not run: {done.stderr[-500:]}")
    return [*command, "checkov"]


def findings(checkov: list[str], folder: Path) -> tuple[set[str], list[dict[str, Any]]]:
    """What checkov finds, as `check resource`, and what it was told to leave."""
    options = ["--framework", "terraform", "--output", "json", "--compact", "--skip-download", "--soft-fail"]
    done = subprocess.run(
        [*checkov, "--directory", str(folder), *options],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)["results"]
    return {f"{each['check_id']} {each['resource']}" for each in results["failed_checks"]}, results["skipped_checks"]


def test_every_finding_is_mended_or_has_its_reason(checkov: list[str], template_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "infra"
    shutil.copytree(template_folder / "infra", folder, ignore=shutil.ignore_patterns(".terraform*", "tests", "build"))
    # A mistake of ours shows that it looks.
    (folder / "mistake.tf").write_text('resource "aws_kms_key" "mistake" {}\n')

    found, left = findings(checkov, folder)

    assert found == {"CKV_AWS_7 aws_kms_key.mistake", "CKV2_AWS_64 aws_kms_key.mistake"}
    assert {each["check_id"] for each in left if len(each["check_result"]["suppress_comment"]) < 20} == set()
    # A comment that no finding needs any more is taken away.
    written = {(line.split(":")[1], file.name) for file in folder.glob("*.tf") for line in file.read_text().splitlines()
               if line.strip().startswith("#checkov:skip=")}  # fmt: skip
    assert written == {(f"skip={each['check_id']}", Path(each["file_path"]).name) for each in left}
