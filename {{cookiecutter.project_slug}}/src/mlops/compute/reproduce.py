"""A registered model made again from its commit, and its metrics held against those that were registered."""

import math
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from mlops import aws, git
from mlops.compute import checkout, dataset, jobs, pipeline, stages
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NoSuchVersion
from mlops.registry import lineage, packages
from mlops.settings.project import Environment, Settings

TOLERANCE = 1e-6
"""Metrics are registered with six digits or more, and processors differ in the last bits."""


@dataclass(frozen=True)
class Reproduction:
    """What came out when a registered model was made again.

    Args:
        package: ARN of its model package.
        fingerprint: of the commit that it was made from.
        registered: its metrics in the registry.
        again: the same metrics now.
        same: whether they are equal.
    """

    package: str
    fingerprint: str
    registered: dict[str, float]
    again: dict[str, float]
    same: bool


def reproduce(settings: Settings, package_arn: str, progress: Progress) -> Reproduction:
    """Make a model again on this machine, from the commit and the data that its package names.

    Raises:
        BadInput: the ARN is none of this project's packages, or the repository lacks its commit.
        Failure: a stage fails, or the commit does not give the package's fingerprint.
    """
    metadata = metadata_of(settings, package_arn)
    if packages.ADOPTED_FROM in metadata:
        raise BadInput(f"{package_arn} was adopted from an endpoint: no commit of this repository made it")
    commit = git.commit_of(settings.root, metadata.get("commit", ""))
    made = lineage.fingerprint(settings, commit)
    if made != metadata.get("fingerprint"):
        raise Failure(
            f"{package_arn}: commit {commit[:12]} has fingerprint {made}, {metadata.get('fingerprint')} is registered"
        )
    registered = {
        name.removeprefix("metric."): float(value)
        for name, value in metadata.items()
        if name.startswith("metric.") and name.count(".") == 1
    }
    with checkout.checkout(settings, commit) as recipe:
        order = pipeline.read(recipe)
        for path in pipeline.raw_inputs(order):
            dataset.restore(settings, commit, path, recipe.root)
        for stage in order:
            progress(f"{stage.name}: running again, from commit {commit[:12]}")
            stages.run_locally(recipe, stage.name, quiet=True)
        evaluates = pipeline.evaluation_stage(order, pipeline.training_stage(order, recipe))
        measured = metrics_in(recipe.root / evaluates.output)
    again = {name: measured.get(name, math.nan) for name in registered}
    same = all(math.isclose(again[name], registered[name], rel_tol=TOLERANCE, abs_tol=TOLERANCE) for name in registered)
    return Reproduction(package_arn, made, registered, again, same and bool(registered))


def metrics_in(folder: Path) -> dict[str, float]:
    """The metrics in an evaluation's folder."""
    file = folder / "metrics.json"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Failure(f"evaluation wrote no metrics.json: {error.strerror}") from error
    return {name: metric.value for name, metric in jobs.metrics(content, "metrics.json").items()}


def metadata_of(settings: Settings, package_arn: str) -> dict[str, str]:
    """What the registry says of a package."""
    environment = environment_of(settings, package_arn)
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    try:
        answer = aws.client(session, "sagemaker").describe_model_package(ModelPackageName=package_arn)
    except ClientError as error:
        if aws.is_missing(error):
            raise NoSuchVersion(f"package is {package_arn!r}, which is not there; mlops history lists them") from error
        raise Failure(f"DescribeModelPackage {package_arn}: {aws.reason(error)}") from error
    return dict(answer.get("CustomerMetadataProperties") or {})


def environment_of(settings: Settings, package_arn: str) -> Environment:
    """The environment whose group a package is in."""
    resource = package_arn.rpartition(":")[2].split("/")
    if package_arn.startswith("arn:") and len(resource) == 3 and resource[0] == "model-package":
        for environment in settings.environments:
            if resource[1] in environment.group_names:
                return environment
    groups = ", ".join(name for environment in settings.environments for name in environment.group_names)
    raise BadInput(f"package is {package_arn!r}; the ARN of a model package in one of {groups} is needed")
