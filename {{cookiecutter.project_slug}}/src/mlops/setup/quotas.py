"""Quotas: how many instances of each type the account may run at once, against what the settings ask for.

A new account may run none of most types, and SageMaker says so only when the first job or endpoint starts. The names of
the quotas are those that Service Quotas lists for Amazon SageMaker: "ml.m5.large for endpoint usage".
"""

from collections import Counter
from collections.abc import Sequence

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from mlops import aws
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch, Endpoint
from mlops.setup.health import Check

SERVICE = "sagemaker"


def checks(settings: Settings, session: boto3.Session, environments: Sequence[Environment]) -> list[Check]:
    """One line for each quota that the settings touch in this account."""
    needs = needed(settings, environments)
    try:
        known = allowed(session)
    except (ClientError, BotoCoreError) as error:
        fix = "allow servicequotas:ListServiceQuotas, or see them in the console under Service Quotas"
        return [Check("quotas of instances", False, aws.reason(error), fix)] if needs else []
    return [examined(name, count, known.get(name), settings.region) for name, count in sorted(needs.items())]


def examined(name: str, count: int, limit: float | None, region: str) -> Check:
    """One quota."""
    fix = f"ask for {count} in {region}: Service Quotas, Amazon SageMaker, {name!r}"
    if limit is None:
        return Check(f"quota {name}", False, f"{count} needed, Service Quotas has no such quota", fix)
    return Check(f"quota {name}", limit >= count, f"{count} needed, {limit:g} allowed", fix)


def needed(settings: Settings, environments: Sequence[Environment]) -> dict[str, int]:
    """How many instances of which quota the project uses at once.

    An endpoint needs its instances twice while it is updated: the new fleet starts before the old one goes.
    """
    needs: Counter[str] = Counter()
    for environment in environments:
        if settings.before(environment) is None:
            for stage in settings.stages.values():
                kind = f"spot {stage.job}" if stage.spot else stage.job
                name = f"{stage.instance_type} for {kind} job usage"
                needs[name] = max(needs[name], stage.instances)
        for each in environment.contenders:
            match each.endpoint:
                case Endpoint() as endpoint:
                    most = max(endpoint.instances, endpoint.autoscaling.max if endpoint.autoscaling else 0)
                    needs[f"{endpoint.instance_type} for endpoint usage"] += 2 * most
                case Batch() as batch:
                    needs[f"{batch.instance_type} for transform job usage"] += batch.instances
    return dict(needs)


def allowed(session: boto3.Session) -> dict[str, float]:
    """The account's quotas for SageMaker by name."""
    pages = aws.client(session, "service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode=SERVICE)
    return {each["QuotaName"]: float(each["Value"]) for page in pages for each in page["Quotas"]}
