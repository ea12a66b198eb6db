"""Resources whose addresses have changed: a state of an earlier version keeps them, and nothing of it is destroyed."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("feature", "dev", "prod")
RULES = {"approved": "dispatch", "trained": "dispatch", "processed": "dispatch", "drifted": "dispatch"}
OLD_NAMES = {
    **{f"{kind}.function": {} for kind in (
        "aws_lambda_function", "aws_lambda_function_event_invoke_config", "aws_iam_role", "aws_iam_role_policy",
        "aws_cloudwatch_log_group", "aws_cloudwatch_event_rule", "aws_cloudwatch_event_target", "aws_lambda_permission",
    )},
    "aws_sqs_queue.failed": {"dispatch": "failed"},
}  # fmt: skip
"""What was named after the function that it belongs to, and the names that differ from that."""


def as_it_was(state: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """A state with the addresses of the version before one definition made every function, and those that differ.

    The function that checks endpoints came later: it is as it is.
    """
    resources, changed = [], set()
    for each in state["resources"]:
        address = f"{each['type']}.{each['name']}"
        by_name = defaultdict(list)
        for instance in each["instances"]:
            name, key = each["name"], instance.get("index_key")
            if address in OLD_NAMES and key != "checks":
                name = OLD_NAMES[address].get(key, RULES.get(key, key))
            if address == "aws_dynamodb_table.events":
                instance = {**instance, "index_key": "dispatch"}
            if (name, instance.get("index_key")) != (each["name"], key):
                changed.add(f'{each["type"]}.{name}["{instance["index_key"]}"]')
            by_name[name].append(instance)
        resources += [{**each, "name": name, "instances": found} for name, found in by_name.items()]
    return {**state, "resources": resources}, changed


def test_a_state_under_the_old_addresses_is_planned_without_a_destroy(
    applied: Any, terraform: Any, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(terraform.folder, tmp_path / "project" / "infra", symlinks=True))
    shutil.copy(terraform.folder.parent / "mlops.yaml", folder.parent)
    earlier, changed = replace(terraform, folder=folder, running={}), {}
    for environment in ENVIRONMENTS:
        file = folder / f"{environment}.tfstate"
        state, changed[environment] = as_it_was(json.loads(file.read_text()))
        file.write_text(json.dumps(state))

        earlier.begin("plan", environment, "-refresh=false")

    for environment, (code, printed) in earlier.end().items():
        assert code == 0, printed
        moved = set(re.findall(r"^ *# (\S+) has moved to ", printed, re.MULTILINE))
        assert moved == changed[environment]
        assert "Plan: 0 to add, 0 to change, 0 to destroy." in printed, printed
    assert {name.partition(".")[2] for name in set.union(*changed.values())} >= {
        'dispatch["dispatch"]', 'hours["hours"]', 'events["dispatch"]', *(f'dispatch["{rule}"]' for rule in RULES)
    }  # fmt: skip
