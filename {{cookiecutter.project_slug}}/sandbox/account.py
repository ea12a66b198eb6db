"""What an administrator's infrastructure code would have made before anybody works: buckets, roles, alarms, the key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox import backends, bucket_policies, checks, grants, owners, trust
from sandbox.project import Environment, Project, Signal, project
from sandbox.sandbox import Sandbox

_LONGEST_SESSION = "14400"
_GITHUB = "https://token.actions.githubusercontent.com"
_POLICY = "mlops"
VARIANT = "model"
"""The variant that the alarms watch; the machinery serves every endpoint from one of this name."""
LATENCY_LIMIT_MICROSECONDS = 1_000_000.0


def prepare(sandbox: Sandbox) -> None:
    """Make what is missing and bring the policies up to the settings; what is there stays."""
    described = project(sandbox.settings, sandbox.infrastructure)
    for key in sorted({each.kms_key for each in described.environments if each.kms_key}):
        _key(key, json.dumps(owners.of_key(described, key)))
    for environment in described.environments:
        if environment.makes_key:
            _alias(environment, described.region)
        _roles(described, environment, sandbox.repository)
        _bucket(sandbox, described, environment)
        for endpoint in environment.endpoints:
            _alarms(described, environment, endpoint)
    sandbox.on_first["dynamodb"] = lambda: checks.tables(described)


def _bucket(sandbox: Sandbox, described: Project, environment: Environment) -> None:
    s3 = backends.of_account("s3", environment.account)
    if backends.bucket(environment.bucket) is None:
        s3.create_bucket(environment.bucket, described.region)
        s3.put_bucket_versioning(environment.bucket, "Enabled")
    if environment.makes_key:
        sealed = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": environment.kms_key}
        s3.put_bucket_encryption(environment.bucket, {"Rule": {"ApplyServerSideEncryptionByDefault": sealed}})
    bucket_policies.put(sandbox, environment.bucket, json.dumps(owners.of_bucket(described, environment)))


def _roles(described: Project, environment: Environment, repository: str | None) -> None:
    service = trust.of_service(environment.account)
    _role(environment, environment.execution_role, service, grants.execution(described, environment))
    duties = {"deploy": (grants.deploy, [environment.name]), "prune": (grants.prune, [])}
    if environment.first:
        duties["train"] = (grants.train, [environment.name])
        duties["image"] = (grants.image, [environment.name])
    else:
        gates = [f"{name.removeprefix(described.name + '-')}-approval" for name in environment.endpoints]
        duties["approve"] = (grants.approve, gates)
        duties["destroy"] = (grants.destroy, [environment.name])
        duties["monitor"] = (grants.monitor, [environment.name])
        duties["schedule"] = (grants.schedule, [environment.name])
    if repository is not None:
        _identity_provider(environment.account)
    for duty, (policy, gates) in duties.items():
        # Housekeeping is for people: no workflow takes its role on.
        branches = trust.branches(described, environment)
        trusted = trust.of_people(environment, repository if gates else None, gates, branches)
        _role(environment, environment.role(duty), trusted, policy(described, environment))


def _role(environment: Environment, arn: str, trusted: Mapping[str, Any], policy: Mapping[str, Any]) -> None:
    account = arn.split(":")[4]
    iam = backends.of_account("iam", account)
    path, _, name = arn.split(":role", 1)[1].rpartition("/")
    if backends.role(account, name) is None:
        iam.create_role(name, json.dumps(trusted), f"{path}/", None, "", [], _LONGEST_SESSION)
    iam.update_assume_role_policy(name, json.dumps(trusted))
    iam.put_role_policy(name, _POLICY, json.dumps(policy))


def _identity_provider(account: str) -> None:
    iam = backends.of_account("iam", account)
    arn = f"arn:aws:iam::{account}:oidc-provider/{_GITHUB.removeprefix('https://')}"
    if arn not in iam.open_id_providers:
        iam.create_open_id_connect_provider(_GITHUB, ["0" * 40], ["sts.amazonaws.com"], {})


def _alarms(described: Project, environment: Environment, endpoint: str) -> None:
    cloudwatch = backends.backends("cloudwatch")[environment.account][described.region]
    variant = {"EndpointName": endpoint, "VariantName": VARIANT}
    own = environment.signals[environment.endpoints.index(endpoint)]
    for name, rule in {**_EVERYWHERE, **{each.name: _rule(each) for each in own}}.items():
        if f"{endpoint}-{name}" in cloudwatch.alarms:
            continue
        dimensions = rule.get("dimensions", variant)
        cloudwatch.put_metric_alarm(
            **{
                "name": f"{endpoint}-{name}",
                "namespace": "AWS/SageMaker",
                "comparison_operator": "GreaterThanOrEqualToThreshold",
                "evaluation_periods": 1,
                "period": 60,
                "description": "",
                "alarm_actions": [],
                "treat_missing_data": "notBreaching",
                **rule,
                "dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            }
        )


_EVERYWHERE: dict[str, dict[str, Any]] = {
    "errors": {"metric_name": "Invocation5XXErrors", "statistic": "Sum", "threshold": 1.0},
    "latency": {"metric_name": "ModelLatency", "statistic": "Average", "threshold": LATENCY_LIMIT_MICROSECONDS},
    # No role may measure in that namespace: only SetAlarmState raises it, which is how a person stops a rollout.
    # With no data to judge by it stays as it was set; notBreaching would calm it after a period.
    "manual": {
        "metric_name": "StoppedByHand",
        "statistic": "Sum",
        "threshold": 1.0,
        "namespace": "mlops/by-hand",
        "treat_missing_data": "ignore",
    },
    # Measured once a day: between two measurements it stays as the last one said.
    "drift": {
        "metric_name": "Drift",
        "statistic": "Maximum",
        "threshold": 1.0,
        "namespace": "mlops",
        "treat_missing_data": "ignore",
        "period": 3600,
    },
}
"""The alarms of every endpoint, by the end of their names."""


def _rule(signal: Signal) -> dict[str, Any]:
    """An alarm of the project's own; AWS's metrics are those of the endpoint unless it says of what."""
    dimensions = signal.dimensions
    if dimensions is None and not signal.namespace.lower().startswith(("aws/", "/aws/")):
        dimensions = {}
    return {
        "metric_name": signal.metric,
        "namespace": signal.namespace,
        "statistic": signal.statistic,
        "threshold": float(signal.above if signal.above is not None else signal.below or 0.0),
        "comparison_operator": "LessThanThreshold" if signal.above is None else "GreaterThanThreshold",
        "period": signal.seconds,
        "evaluation_periods": signal.periods,
        **({} if dimensions is None else {"dimensions": dimensions}),
    }


def _alias(environment: Environment, region: str) -> None:
    """The name by which the machinery finds the key that infra/ makes."""
    name, kms = f"alias/{environment.project}-{environment.name}", backends.backends("kms")[environment.account][region]
    if kms.get_key_id_from_alias(name) is None:
        kms.create_alias(str(environment.kms_key).rpartition("/")[2], name)


def _key(arn: str, policy: str) -> None:
    """A key that the settings name, or that infra/ makes, under that very ARN: moto gives keys names of its own."""
    if (found := backends.key(arn)) is not None:
        found.policy = policy
        return
    _, _, _, region, account, name = arn.split(":", 5)
    kms = backends.backends("kms")[account][region]
    made = kms.create_key(policy, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", {}, False)
    if name.startswith("alias/"):
        kms.create_alias(made.id, name)
        return
    del kms.keys[made.id]
    made.id, made.arn = name.removeprefix("key/"), arn
    kms.keys[made.id] = made
