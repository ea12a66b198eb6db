"""Instance types: those that SageMaker has for each use, as botocore's description of its API lists them."""

import difflib
from collections.abc import Iterator

import botocore

from mlops import aws
from mlops.errors import BadInput
from mlops.settings.project import FILE, Settings
from mlops.settings.serving import Serverless

SHAPES = {
    "training": "TrainingInstanceType",
    "processing": "ProcessingInstanceType",
    "endpoints": "ProductionVariantInstanceType",
    "batch": "TransformInstanceType",
}
"""The shape of botocore's model that lists the types for a use."""

CLOSE = 4
"""How many types are named that are written nearly as the one that was given."""


def refuse_unknown(settings: Settings) -> None:
    """Stop before anything is begun on an instance that SageMaker does not have: it would say so with all it has.

    Raises:
        BadInput: one line for each place in the settings.
    """
    # As a client of SageMaker asks for it, which makes it anyway: so it is read once.
    shapes = aws.loader().load_service_model("sagemaker", "service-2", api_version=None)["shapes"]
    problems = []
    for place, use, given in used(settings):
        there = shapes[SHAPES[use]]["enum"]
        if given not in there:
            close = ", ".join(difflib.get_close_matches(given, there, CLOSE)) or "nothing"
            problems.append(
                f"{FILE}: {place}.instance_type is {given!r}, which SageMaker does not have for {use}; close to it: "
                f"{close} (one newer than botocore {botocore.__version__}: uv lock --upgrade-package botocore)"
            )
    if problems:
        raise BadInput("\n".join(problems))


def used(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Each place of the settings that names an instance type, what it is for, and the type."""
    for name, stage in settings.stages.items():
        yield f"stages.{name}", stage.job, stage.instance_type
    for environment in settings.environments:
        for each in environment.contenders:
            if each.endpoint is not None and not isinstance(each.endpoint, Serverless):
                place = "challenger.endpoint" if each.is_challenger else "endpoint"
                use = "batch" if each.endpoint.kind == "batch" else "endpoints"
                yield f"environments.{environment.name}.{place}", use, each.endpoint.instance_type
