"""Mistakes that Terraform code may have, made in what it has made: each is found, but for those that are listed.

Nothing is applied for a mistake: the documents of the one apply are changed, and held against the promises again.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import grants, owners, trust
from sandbox.project import project

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("feature", "dev", "prod")
REPOSITORY = "acme@1/churn@2"
SIGN_ON = {"data-scientist": "Science", "ml-engineer": "Models", "operations": "Rota"}

Documents = dict[str, dict[str, Any]]
"""What Terraform has made: address → attributes."""

SETTINGS: dict[str, dict[str, Any]] = {
    "aws_s3_bucket_versioning.environment": {"versioning_configuration.0.status": "Enabled"},
    "aws_s3_bucket_server_side_encryption_configuration.environment": {
        "rule.0.bucket_key_enabled": True,
        "rule.0.apply_server_side_encryption_by_default.0.sse_algorithm": "aws:kms",
        "rule.0.apply_server_side_encryption_by_default.0.kms_master_key_id": "KEY",
    },
    "aws_s3_bucket_public_access_block.environment": {
        "block_public_acls": True,
        "block_public_policy": True,
        "ignore_public_acls": True,
        "restrict_public_buckets": True,
    },
    "aws_s3_bucket_ownership_controls.environment": {"rule.0.object_ownership": "BucketOwnerEnforced"},
    "aws_s3_bucket_lifecycle_configuration.environment": {
        "rule.0.filter.0.prefix": "captures/",
        "rule.0.expiration.0.days": 90,
        "rule.0.status": "Enabled",
        "rule.1.filter.0.prefix": "batch/",
        "rule.1.expiration.0.days": 90,
        "rule.1.status": "Enabled",
        "rule.2.noncurrent_version_expiration.0.noncurrent_days": 365,
        "rule.2.abort_incomplete_multipart_upload.0.days_after_initiation": 7,
        "rule.2.status": "Enabled",
    },
    "aws_kms_key.environment": {"enable_key_rotation": True, "is_enabled": True, "deletion_window_in_days": 30},
    "aws_sns_topic.alarms": {"kms_master_key_id": "KEY"},
    "aws_ecr_repository.images": {
        "image_tag_mutability": "IMMUTABLE",
        "image_scanning_configuration.0.scan_on_push": True,
        "encryption_configuration.0.encryption_type": "KMS",
        "encryption_configuration.0.kms_key": "KEY",
    },
    "aws_dynamodb_table.checks": {
        "point_in_time_recovery.0.enabled": True,
        "server_side_encryption.0.enabled": True,
        "server_side_encryption.0.kms_key_arn": "KEY",
    },
    "aws_iam_openid_connect_provider.github": {"client_id_list.0": "sts.amazonaws.com"},
    "aws_iam_role.duty": {"max_session_duration": 14400, "path": "/"},
    "aws_iam_role.execution": {"max_session_duration": 14400, "path": "/"},
    "aws_lambda_function.function": {"kms_key_arn": "KEY", "runtime": "python3.13"},
    "aws_lambda_function_event_invoke_config.function": {"maximum_retry_attempts": 2},
    "aws_cloudwatch_log_group.function": {"retention_in_days": 90, "kms_key_id": "KEY"},
    "aws_sqs_queue.failed": {"kms_master_key_id": "KEY", "message_retention_seconds": 1209600},
    "aws_cloudwatch_metric_alarm.failed": {
        "namespace": "AWS/SQS",
        "metric_name": "ApproximateNumberOfMessagesVisible",
        "statistic": "Maximum",
        "threshold": 1,
        "comparison_operator": "GreaterThanOrEqualToThreshold",
        "treat_missing_data": "notBreaching",
        "alarm_actions.0": "TOPIC",
    },
    "aws_dynamodb_table.events": {"ttl.0.enabled": True, "server_side_encryption.0.kms_key_arn": "KEY"},
}
"""What a resource of a kind has to be; KEY is the environment's key, TOPIC that of its alarms."""

UNHELD = {
    "aws_iam_role_policy.person": "what people may do by hand is tried out, not listed twice: test_people.py",
    "aws_ecr_repository_policy.images": "read back in test_surroundings.py",
    "aws_ecr_lifecycle_policy.images": "says what expires, and lets nobody in; read back in test_surroundings.py",
    "aws_sns_topic.alarms": "shows the policy that aws_sns_topic_policy.alarms gives it",
}
"""Policies that are held elsewhere, and where."""

OURS = ("duty", "execution", "person", "environment", "alarms", "images", "function", "scheduler")
"""Resources whose policies are held here."""


def resources(state: Path) -> Documents:
    """The resources of a state of Terraform."""
    return {
        f"{each['type']}.{each['name']}[{one.get('index_key', 0)}]": one["attributes"]
        for each in json.loads(state.read_text())["resources"]
        for one in each["instances"]
    }


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parts(document: Any) -> set[tuple[str, ...]]:
    """A policy in its smallest parts: how its statements are cut and ordered does not matter."""
    return {
        (
            statement["Effect"],
            json.dumps({kind: sorted(listed(names)) for kind, names in principal.items()}, sort_keys=True)
            if isinstance(principal := statement.get("Principal"), dict)
            else str(principal),
            action,
            resource,
            json.dumps(statement.get("Condition", {}), sort_keys=True),
        )
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement.get("Resource", ""))
    }


def wanted_policies(settings: dict[str, Any], name: str, key: str, functions: bool) -> dict[str, Any]:
    """Address → the policy that it has to have: the sandbox's, under which every command runs, with the key's use."""
    own = [{**each, "kms_key": key} if each["name"] == name else each for each in settings["environments"]]
    described = project({**settings, "environments": own})
    environment = next(each for each in described.environments if each.name == name)
    account, before, after = environment.account, described.before(environment), described.after(environment)
    found: dict[str, Any] = {"aws_iam_role_policy.execution[0]": grants.execution(described, environment)}
    gates = {"deploy": [name], "prune": []}
    if environment.first:
        gates |= {"train": [name], "image": [name]}
    else:
        approvals = [f"{each.removeprefix('churn-')}-approval" for each in environment.endpoints]
        gates |= {"approve": approvals, "destroy": [name], "monitor": [name], "schedule": [name]}
    for duty, places in gates.items():
        policy = getattr(grants, duty)(described, environment)
        if duty == "deploy" and before is not None and before.account != account:
            keys = f"arn:aws:kms:eu-west-1:{before.account}:key/*"
            policy["Statement"].append(
                {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": keys}
            )
        found[f"aws_iam_role_policy.duty[{duty}]"] = policy
        found[f"aws_iam_role.duty[{duty}]"] = trust.of_people(
            environment, REPOSITORY if places else None, places, trust.branches(described, environment)
        )
    found["aws_iam_role.execution[0]"] = trust.of_service(account)
    found[f"aws_s3_bucket_policy.environment[{environment.bucket}]"] = by_condition(
        owners.of_bucket(described, environment)
    )
    found |= of_services(account, name, None if after is None else after.role("deploy"), functions)
    for person, group in SIGN_ON.items():
        pattern = f"arn:aws:iam::111111111111:role/sso/AWSReservedSSO_{group}_*"
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnLike": {"aws:PrincipalArn": [pattern]}},
        }
        found[f"aws_iam_role.person[{person}]"] = {"Statement": [statement]}
    return found


def of_services(account: str, name: str, reader: str | None, functions: bool) -> dict[str, Any]:
    """The policies of the topic and of the key: what AWS's services do with them, and who reads in the next account."""
    services = {"Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]}
    here = {"StringEquals": {"aws:SourceAccount": account}}
    topic = f"arn:aws:sns:eu-west-1:{account}:churn-{name}-alarms"
    told = {"Effect": "Allow", "Principal": services, "Action": "sns:Publish", "Resource": topic, "Condition": here}
    uses = [
        {"Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*"},
        {"Principal": services, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Condition": here},
    ]
    if reader:
        by = {"ArnEquals": {"aws:PrincipalArn": reader}}
        uses.append({"Principal": {"AWS": "*"}, "Action": ["kms:Decrypt", "kms:DescribeKey"], "Condition": by})
    if functions:
        groups = f"arn:aws:logs:eu-west-1:{account}:log-group:/aws/lambda/churn-{name}-*"
        verbs = ("Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "Describe")
        uses.append(
            {
                "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
                "Action": [f"kms:{verb}*" for verb in verbs],
                "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            }
        )
    key = {"Statement": [{"Effect": "Allow", "Resource": "*", **each} for each in uses]}
    return {"aws_sns_topic_policy.alarms[0]": {"Statement": [told]}, "aws_kms_key.environment[0]": key}


def by_condition(document: dict[str, Any]) -> dict[str, Any]:
    """A policy that names a role as Terraform's does: by a condition, which outlives the role."""
    for statement in document["Statement"]:
        if isinstance(statement["Principal"], dict):
            role = statement["Principal"]["AWS"]
            statement["Condition"] = {"ArnEquals": {"aws:PrincipalArn": role}}
            statement["Principal"] = {"AWS": f"arn:aws:iam::{role.split(':')[4]}:root"}
    return document


def at(attributes: Any, place: str) -> Any:
    for part in place.split("."):
        try:
            attributes = attributes[int(part)] if isinstance(attributes, list) else attributes[part]
        except (LookupError, TypeError):
            return None
    return attributes


def policy_in(attributes: dict[str, Any]) -> str | None:
    """The attribute that holds a policy."""
    return next((each for each in ("assume_role_policy", "policy") if attributes.get(each)), None)


def problems(documents: Documents, wanted: dict[str, Any], known: dict[str, str]) -> Iterator[str]:
    """What does not hold."""
    for address, document in wanted.items():
        attributes = documents.get(address, {})
        place = policy_in(attributes)
        if place is None or parts(json.loads(attributes[place])) != parts(document):
            yield f"{address}: its policy is another"
    for address, attributes in documents.items():
        for place, value in SETTINGS.get(address.partition("[")[0], {}).items():
            if at(attributes, place) != known.get(value, value):
                yield f"{address}: {place} is {at(attributes, place)!r}"


def mistakes(documents: Documents, held: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each mistake: its name, the resource, and what that is then. A part of a policy or a setting is left out, or more
    is allowed."""
    for address, attributes in documents.items():
        place = policy_in(attributes)
        if address in held and place:
            right = json.loads(attributes[place])
            for what, policy in of_policy(right):
                # A statement that another one repeats is no loss.
                if parts(policy) != parts(right):
                    yield what, address, {**attributes, place: json.dumps(policy)}
        for setting in SETTINGS.get(address.partition("[")[0], {}):
            changed = copy.deepcopy(attributes)
            *way, last = setting.split(".")
            holder = at(changed, ".".join(way)) if way else changed
            holder[int(last) if isinstance(holder, list) else last] = None
            yield f"without {setting}", address, changed


def of_policy(policy: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mistake in a policy."""

    def changed(position: int, what: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        other = copy.deepcopy(policy)
        what(other["Statement"][position])
        return other

    for position, statement in enumerate(policy["Statement"]):
        rest = [each for index, each in enumerate(policy["Statement"]) if index != position]
        yield f"without statement {position}", {**policy, "Statement": rest}
        yield (
            f"{position} the other effect",
            changed(position, lambda each: each.update(Effect="Deny" if each["Effect"] == "Allow" else "Allow")),
        )
        for element in ("Action", "Resource", "Principal"):
            if element in statement and statement[element] != "*":
                yield (
                    f"{position} any {element}",
                    changed(position, lambda each, name=element: each.update({name: "*"})),
                )
        for action in listed(statement["Action"]):
            less = [each for each in listed(statement["Action"]) if each != action]
            if less:
                yield (
                    f"{position} without {action}",
                    changed(position, lambda each, left=less: each.update(Action=left)),
                )
        for operator, keys in statement.get("Condition", {}).items():
            for name in keys:
                yield (
                    f"{position} without {name}",
                    changed(position, lambda each, o=operator, n=name: each["Condition"][o].pop(n)),
                )
                yield (
                    f"{position} any {name}",
                    changed(position, lambda each, o=operator, n=name: each["Condition"][o].update({n: "*"})),
                )


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def made(
    request: Any, applied: Any, terraform: Any, settings: Path, rights_of_checks: Any, policies_of_functions: Any
) -> Any:
    """What Terraform has made of an environment, the policies that it has to have, and the names of key and topic."""
    name = request.param
    documents = resources(terraform.folder / f"{name}.tfstate")
    known = {
        "KEY": documents["aws_kms_key.environment[0]"]["arn"],
        "TOPIC": documents["aws_sns_topic.alarms[0]"]["arn"],
    }
    functions = any(address.startswith("aws_lambda_function.") for address in documents)
    given = yaml.safe_load(settings.read_text())
    wanted = wanted_policies(given, name, known["KEY"], functions)
    own = [{**each, "kms_key": known["KEY"]} if each["name"] == name else each for each in given["environments"]]
    described = project({**given, "environments": own})
    environment = next(each for each in described.environments if each.name == name)
    checks = rights_of_checks(environment.account, f"churn-{name}", list(environment.endpoints))
    hours = grants.schedule(described, environment)
    wanted |= policies_of_functions(environment.account, name, known["KEY"], documents, checks, hours)
    return documents, wanted, known


def test_what_was_made_is_what_was_promised(made: Any) -> None:
    documents, wanted, known = made

    assert list(problems(documents, wanted, known)) == []


def test_every_policy_is_held_here_or_elsewhere(made: Any) -> None:
    documents, wanted, _ = made
    policies = {address for address, attributes in documents.items() if policy_in(attributes)}

    unheld = {address.partition("[")[0] for address in policies - set(wanted)}
    assert {each for each in unheld if each.partition(".")[2] in OURS} <= set(UNHELD)


def test_a_mistake_is_found(made: Any) -> None:
    documents, wanted, known = made
    found = {}
    for what, address, attributes in mistakes(documents, wanted):
        promised = {address: wanted[address]} if address in wanted else {}
        found[f"{address}: {what}"] = bool(list(problems({address: attributes}, promised, known)))

    assert [name for name, seen in found.items() if not seen] == []
    assert len(found) > 300
