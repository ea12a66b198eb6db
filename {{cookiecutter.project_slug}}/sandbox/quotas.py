"""Service Quotas for SageMaker: the instances that an account of the sandbox may run, the same number of each type."""

from __future__ import annotations

from typing import Any

from sandbox import shapes
from sandbox.operations import Caller, Refusal

INSTANCES = 20.0
"""The sandbox's own number. A new account of AWS may have none of a type, and another number of each."""

_USES = {
    "ProductionVariantInstanceType": ("endpoint usage",),
    "TrainingInstanceType": ("training job usage", "spot training job usage"),
    "ProcessingInstanceType": ("processing job usage",),
    "TransformInstanceType": ("transform job usage",),
}


def listed(parameters: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """The answer to ListServiceQuotas, all of it on one page.

    Raises:
        Refusal: another service's are asked for.
    """
    if parameters.get("ServiceCode") != "sagemaker":
        raise Refusal("NoSuchResourceException", "The sandbox has quotas of the service sagemaker only", 400)
    names = [f"{type} for {use}" for shape, uses in _USES.items() for type in instance_types(shape) for use in uses]
    return {
        "Quotas": [
            {
                "ServiceCode": "sagemaker",
                "QuotaName": name,
                "QuotaArn": f"arn:aws:servicequotas:{caller.region}:{caller.account}:sagemaker/L-{number:08X}",
                "QuotaCode": f"L-{number:08X}",
                "Value": INSTANCES,
                "Unit": "None",
                "Adjustable": True,
                "GlobalQuota": False,
            }
            for number, name in enumerate(names, start=1)
        ]
    }


def instance_types(shape: str) -> list[str]:
    """The instance types that SageMaker knows for one use."""
    return [str(each) for each in getattr(shapes.service("sagemaker").shape_for(shape), "enum", [])]
