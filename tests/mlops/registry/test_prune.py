"""Housekeeping: what is old and not needed goes, and nothing that serves, could be rolled back to, or was promoted."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlops import aws, storage
from mlops.errors import BadInput, Failure
from mlops.hosting import alarms, deployment, endpoints, schedule, served, shadows
from mlops.registry import packages, prune
from mlops.settings.project import Settings
from mlops.settings.retention import Retention
from mlops.settings.serving import Shadow

LATER = timedelta(days=40)


def keeping(world: Any, keep: int) -> Settings:
    """The project's settings with a number of things to keep."""
    settings: Settings = world.settings.model_copy(update={"retention": Retention(keep=keep)})
    return settings


def pruned(world: Any, keep: int, act: bool = True, after: timedelta = LATER) -> list[tuple[str, str, str]]:
    """What is removed some time from now: environment, kind, and the end of the name."""
    items = prune.prune(keeping(world, keep), world.progress, act, datetime.now(UTC) + after)
    assert all(item.removed is act for item in items)
    return [(item.environment, item.kind, item.name) for item in items]


def there(world: Any) -> dict[str, list[str]]:
    """All that housekeeping could remove, by environment."""
    found: dict[str, list[str]] = {}
    for environment in world.settings.environments:
        sagemaker, session = world.client(environment), world.session(environment)
        found[environment.name] = sorted(
            [
                *(each.arn for each in packages.listing(session, environment.group)),
                *(each["ModelName"] for each in sagemaker.list_models(MaxResults=100)["Models"]),
                *(
                    f"config {each['EndpointConfigName']}"
                    for each in sagemaker.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]
                ),
                *(f"{part}/{key}" for part in prune.FOLDERS for key in files(world, environment, part)),
            ]
        )
    return found


def everything(world: Any) -> set[str]:
    """The same without the environments."""
    return {name for names in there(world).values() for name in names}


def files(world: Any, environment: Any, part: str) -> list[str]:
    """The fingerprints that have files in one part of a bucket."""
    keys = storage.listing(world.session(environment), f"s3://{environment.bucket}/{part}/")
    return sorted({key.partition("/")[0] for key in keys})


@pytest.fixture
def clean(world: Any) -> Any:
    """Buckets without what other tests have left in them."""
    for environment in world.settings.environments:
        session, bucket = world.session(environment), f"s3://{environment.bucket}"
        jobs = {f"jobs/{name.partition('/')[0]}" for name in storage.listing(session, f"{bucket}/jobs/")}
        own = [each for each in jobs if each.startswith(f"jobs/churn-{environment.name}-")]
        for part in (*prune.FOLDERS, *own):
            storage.delete_folder(session, f"{bucket}/{part}/")
    return world


def test_only_old_versions_that_were_never_promoted_go_with_their_files(clean: Any) -> None:
    world = clean
    forgotten = world.register("first")
    promoted = world.in_dev("first")
    newest = world.register("first")

    assert pruned(world, keep=1, after=timedelta(days=29)) == []
    planned = pruned(world, keep=1, act=False)
    assert storage.exists(world.session(world.feature), forgotten.artefact)
    removed = pruned(world, keep=1)

    folders = [f"s3://{world.feature.bucket}/{part}/{forgotten.fingerprint}/" for part in ("models", "baselines")]
    assert planned == removed
    assert removed == [("feature", "version", forgotten.arn), *(("feature", "files", folder) for folder in folders)]
    left = [entry.fingerprint for entry in packages.listing(world.session(world.feature), "churn-feature")]
    assert left == [newest.fingerprint, promoted.fingerprint]
    assert sorted(files(world, world.feature, "models")) == sorted(left)
    assert pruned(world, keep=1) == []


@pytest.mark.slow
def test_what_jobs_wrote_goes_unless_a_version_anywhere_points_at_it(clean: Any) -> None:
    world = clean
    session, bucket = world.session(world.feature), world.feature.bucket
    trained, evaluated, copied, idle = (
        f"churn-feature-{stage}-{number}2345678-1"
        for number, stage in enumerate(("train", "evaluate", "gate", "prepare"))
    )
    others = ("theirs", "churn-features-train-12345678-1", "churn-feature-notes")
    version, promoted = world.register("first"), world.in_dev("first")
    arn = f"arn:aws:sagemaker:eu-west-1:{world.feature.account}:training-job/{trained}"
    points = {"training_job": arn, "report_uri": f"s3://{bucket}/jobs/{evaluated}/output/"}
    for environment, of, told in (
        (world.feature, version, points),
        (world.dev, promoted, {"report_uri": f"s3://{bucket}/jobs/{copied}/output/"}),
    ):
        world.client(environment).update_model_package(ModelPackageArn=of.arn, CustomerMetadataProperties=told)
    for job in (trained, evaluated, copied, idle, *others):
        for name in ("code/train.py", "output/model.tar.gz"):
            storage.write(session, f"s3://{bucket}/jobs/{job}/{name}", b"of a job")

    assert pruned(world, keep=5, after=timedelta(days=29)) == []
    assert pruned(world, keep=5) == [("feature", "files", f"s3://{bucket}/jobs/{idle}/")]

    left = {key.partition("/")[0] for key in storage.listing(session, f"s3://{bucket}/jobs/")}
    assert {trained, evaluated, copied, *others} <= left
    assert idle not in left
    for job in (trained, evaluated, copied, *others):
        storage.delete_folder(session, f"s3://{bucket}/jobs/{job}/")


@pytest.mark.slow
def test_what_serves_and_the_ways_back_stay_and_a_rollback_still_finds_them(clean: Any) -> None:
    world = clean
    for label in ("first", "second", "first", "second"):
        world.in_dev(label)
        deployment.deploy(world.settings, world.dev, world.progress)
    prepared = endpoints.prepare(world.session(world.dev), world.settings, world.dev, world.in_dev("first"))

    removed = [(kind, endpoints.version_of(name)) for _, kind, name in pruned(world, keep=2)]

    # The fifth was prepared and never served; the first two are further back than the settings keep.
    assert sorted(removed) == sorted(
        (kind, version) for kind in ("endpoint configuration", "model") for version in (1, 2, 5)
    )
    assert prepared not in str(there(world))
    assert world.answer(world.dev) == "second"
    assert deployment.rollback(world.settings, world.dev, world.progress).version == 3
    # What a rollback left is Rejected, and no way back; what was rolled back to serves.
    assert {endpoints.version_of(name) for _, _, name in pruned(world, keep=1)} == {4}
    assert world.answer(world.dev) == "first"


@pytest.mark.slow
def test_a_configuration_that_an_update_goes_to_or_another_endpoint_uses_stays(clean: Any) -> None:
    world = clean
    session, sagemaker = world.session(world.dev), world.client(world.dev)
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    coming = endpoints.prepare(session, world.settings, world.dev, world.in_dev("second"))
    beside = endpoints.prepare(session, world.settings, world.dev, world.in_dev("first"))
    sagemaker.create_endpoint(EndpointName="churn-dev-trial", EndpointConfigName=beside)
    endpoints.settle(session, "churn-dev-trial", world.progress)
    wait = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    slowly = {
        "BlueGreenUpdatePolicy": {"TerminationWaitInSeconds": 3600, "TrafficRoutingConfiguration": wait},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "churn-dev-manual"}]},
    }
    endpoints.update(session, "churn-dev", coming, slowly)

    removed = pruned(world, keep=1)

    alarms.set_manual(session, world.dev, on=True, why="the test has seen it")
    assert removed == []
    sagemaker.describe_endpoint_config(EndpointConfigName=beside)


@pytest.mark.slow
def test_another_projects_things_of_a_like_name_stay(clean: Any) -> None:
    world = clean
    package = world.in_dev("first")
    container = {"Image": package.image, "ModelDataUrl": package.artefact}
    for name in ("churn-dev-tools-v1-0123abcd", "churn-dev-handmade", "churn-developers-v1-0123abcd"):
        world.client(world.dev).create_model(
            ModelName=name, ExecutionRoleArn=world.dev.execution_role, PrimaryContainer=container
        )

    assert pruned(world, keep=1) == []


def test_files_that_may_be_somebody_elses_stay(clean: Any) -> None:
    world, ours = clean, "ab" * 32
    for folder in (ours, "vision-2019", "ab" * 33, "AB" * 32):
        storage.write(world.session(world.dev), f"s3://{world.dev.bucket}/models/{folder}/model.tar.gz", b"weights")
    storage.write(world.session(world.dev), f"s3://{world.dev.bucket}/models/{'cd' * 32}", b"no folder")
    shared = world.settings_with(world.dev.model_copy(update={"bucket_name": world.dev.bucket}))
    later = datetime.now(UTC) + LATER

    assert prune.prune(shared, world.progress, act=True, now=later) == []
    assert f"dev: files are left alone, for others may own some of {world.dev.bucket}" in world.said
    assert pruned(world, keep=1) == [("dev", "files", f"s3://{world.dev.bucket}/models/{ours}/")]


@pytest.mark.slow
def test_what_an_endpoint_that_is_stopped_may_start_from_stays(clean: Any) -> None:
    world = clean
    session = world.session(world.dev)
    for label in ("first", "second", "first"):
        package = world.in_dev(label)
        deployment.deploy(world.settings, world.dev, world.progress)
    # What serves is no way back: by hand, or by a version that somebody rejected.
    packages.set_status(session, package, "Rejected", "")
    never = endpoints.prepare(session, world.settings, world.dev, world.in_dev("second"))
    schedule.end(world.settings, world.dev, world.progress)

    assert {name for _, _, name in pruned(world, keep=1)} == {never}

    packages.set_status(session, package, "Approved", "")
    schedule.begin(world.settings, world.dev, world.progress)
    assert world.answer(world.dev) == "first"


@pytest.mark.slow
def test_what_serves_beside_a_shadow_stays_and_a_shadow_is_no_way_back(clean: Any) -> None:
    world = clean
    session = world.session(world.dev)
    rollout = Shadow(kind="shadow", requests=1, seconds=60)
    dev = world.dev.model_copy(update={"endpoint": world.dev.endpoint.model_copy(update={"rollout": rollout})})
    for label in ("first", "second"):
        world.in_dev(label)
        deployment.deploy(world.settings, world.dev, world.progress)
    first, alone = (name for name, _ in reversed(endpoints.configs(session, "churn-dev")))
    beside_first, beside_alone = (
        shadows.prepare(session, world.settings, dev, world.in_dev("first"), config) for config in (first, alone)
    )
    # A rollback marks whatever serves, a shadow too.
    served.mark(session, world.settings, world.dev, beside_first)
    served.mark(session, world.settings, world.dev, beside_alone)
    endpoints.update(session, "churn-dev", beside_alone, {})
    endpoints.settle(session, "churn-dev", world.progress)

    configs = {name for _, kind, name in pruned(world, keep=2) if kind == "endpoint configuration"}

    left = {each["EndpointConfigName"] for each in world.client(world.dev).list_endpoint_configs()["EndpointConfigs"]}
    assert {first, alone, beside_alone} <= left
    assert beside_first in configs


@pytest.mark.slow
def test_another_projects_configuration_of_a_like_name_is_no_way_back(clean: Any) -> None:
    world = clean
    package = world.in_dev("first")
    ours = endpoints.prepare(world.session(world.dev), world.settings, world.dev, package)
    for name in ("churn-dev-vision-v1-0123abcd", "churn-dev-v1-0123abcd-v1-0123abcd", "x-churn-dev-v1-0123abcd"):
        world.client(world.dev).create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {"VariantName": "model", "ModelName": ours, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
            ],
        )

    assert [name for name, _ in endpoints.configs(world.session(world.dev), "churn-dev")] == [ours]


def test_nothing_goes_when_an_environment_can_not_be_looked_into(clean: Any) -> None:
    world = clean
    world.register("first")
    world.register("first")
    iam = world.client(world.prod, "iam")
    document = iam.get_role_policy(RoleName="churn-prod-prune", PolicyName="mlops")["PolicyDocument"]
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="churn-prod-prune", PolicyName="mlops", PolicyDocument=json.dumps(nothing))
    try:
        with pytest.raises(Failure, match=r"nothing is removed, for what prod needs is not known: .*AccessDenied"):
            pruned(world, keep=1)
    finally:
        iam.put_role_policy(RoleName="churn-prod-prune", PolicyName="mlops", PolicyDocument=json.dumps(document))

    assert len(packages.listing(world.session(world.feature), "churn-feature")) == 2


def test_housekeeping_can_delete_no_endpoint_and_no_version_of_production(clean: Any) -> None:
    world = clean
    version = world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    session = aws.session(world.settings, world.prod, "prune")
    sagemaker = aws.client(session, "sagemaker")

    for deed in (
        lambda: sagemaker.delete_endpoint(EndpointName="churn-prod"),
        lambda: sagemaker.delete_model_package(ModelPackageName=version.arn),
        lambda: aws.client(session, "s3").get_object(Bucket=world.prod.bucket, Key=version.artefact.split("/", 3)[3]),
    ):
        with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
            deed()


@pytest.mark.slow
def test_a_run_that_was_killed_is_finished_by_the_next(clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = clean
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    endpoints.prepare(world.session(world.dev), world.settings, world.dev, world.in_dev("second"))
    for _ in range(2):
        world.register("first")
    planned = pruned(world, keep=1, act=False)
    remove = prune.remove
    kept = everything(world)

    for number in range(0, len(planned), 2):
        deeds = iter(range(number + 1))

        def dies(session: boto3.Session, item: prune.Item, deeds: Iterator[int] = deeds) -> None:
            if next(deeds, None) is None:
                raise KeyboardInterrupt
            remove(session, item)

        monkeypatch.setattr(prune, "remove", dies)
        with suppress(KeyboardInterrupt):
            pruned(world, keep=1)
        assert everything(world) < kept
    monkeypatch.setattr(prune, "remove", remove)
    pruned(world, keep=1)

    assert pruned(world, keep=1) == []
    left = everything(world)
    gone = {name for _, _, name in planned}
    assert not [name for name in left if any(name in each for each in gone)]
    assert world.answer(world.dev) == "first"


def test_a_folder_is_named_to_its_slash(clean: Any) -> None:
    with pytest.raises(BadInput, match="it has to end with /"):
        storage.delete_folder(clean.session(clean.dev), f"s3://{clean.dev.bucket}/models/abc")


def test_the_command_plans_first(clean: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlops", "prune", "--json"],
        cwd=clean.settings.root,
        env={**os.environ, "PYTHONPATH": str(Path(prune.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr
