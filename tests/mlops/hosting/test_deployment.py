"""Deployment: what is deployed, what is refused, and how alarms roll it back."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.checks import contract
from mlops.errors import BadInput, Failure, NotApproved, NotFound
from mlops.hosting import alarms, choice, deployment, endpoints, invocations, rollouts
from mlops.registry import approval, decisions, history, packages, status
from mlops.settings.signals import Signal


def test_the_newest_approved_version_serves_and_a_second_run_does_nothing(world: Any) -> None:
    package = world.in_dev("first")

    first = deployment.deploy(world.settings, world.dev, world.progress)
    world.forget_calls()
    again = deployment.deploy(world.settings, world.dev, world.progress)

    assert (first.endpoint, first.package, first.version, first.changed) == ("churn-dev", package.arn, 1, True)
    assert (again.version, again.changed) == (1, False)
    assert world.calls("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint") == []
    assert world.answer(world.dev) == "first"
    model = world.client(world.dev).list_models(NameContains="churn-dev-v1-")["Models"]
    assert [each["ModelName"] for each in model] == [endpoints.config_name(world.settings, world.dev, package)]


def test_changed_settings_deploy_the_same_version_again(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    larger = world.dev.model_copy(
        update={"endpoint": world.dev.endpoint.model_copy(update={"instance_type": "ml.m5.xlarge"})}
    )

    result = deployment.deploy(world.settings, larger, world.progress)

    assert (result.version, result.changed) == (1, True)
    config = world.client(world.dev).describe_endpoint(EndpointName="churn-dev")["EndpointConfigName"]
    variants = world.client(world.dev).describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    assert [each["InstanceType"] for each in variants] == ["ml.m5.xlarge"]


def test_what_waits_for_approval_is_not_deployed(world: Any) -> None:
    world.promote(world.in_dev().fingerprint, world.prod)

    with pytest.raises(NotApproved, match="churn-prod version 1 waits for approval: mlops approve --env prod"):
        deployment.deploy(world.settings, world.prod, world.progress)

    assert endpoints.state(world.session(world.prod), "churn-prod") is None


def test_a_version_that_waits_holds_no_approved_one_back(world: Any) -> None:
    world.approved("first")
    world.promote(world.in_dev("second").fingerprint, world.prod)

    result = deployment.deploy(world.settings, world.prod, world.progress)

    assert result.version == 1
    waits = choice.waiting(world.settings, world.prod)
    assert waits == "churn-prod version 2 waits for approval: mlops approve --env prod --by NAME --reason WHY"
    assert choice.waiting(world.settings, world.dev) == ""


def test_what_was_rejected_is_not_deployed(world: Any) -> None:
    package = world.in_dev()
    approval.reject(world.settings, world.dev, by="somebody", why="wrong data", version=package.version)

    with pytest.raises(NotApproved, match="churn-dev has no approved version; the newest, 1, is Rejected"):
        deployment.deploy(world.settings, world.dev, world.progress)


def test_an_empty_group_says_what_fills_it(world: Any) -> None:
    with pytest.raises(NotFound, match="churn-dev is empty; mlops promote --to dev"):
        deployment.deploy(world.settings, world.dev, world.progress)


def test_an_endpoint_that_failed_is_made_again(world: Any) -> None:
    package = world.in_dev("first")
    sagemaker = world.client(world.dev)
    name = "churn-dev-without-script"
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=world.dev.execution_role,
        PrimaryContainer={
            "Image": package.image,
            "ModelDataUrl": package.artefact,
            "Environment": {"SAGEMAKER_PROGRAM": "missing.py"},
        },
    )
    variant = {"VariantName": "model", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="churn-dev", EndpointConfigName=name)
    failed = endpoints.settle(world.session(world.dev), "churn-dev", world.progress)
    assert failed is not None
    assert failed.status == "Failed"

    result = deployment.deploy(world.settings, world.dev, world.progress)

    assert (result.version, result.changed) == (1, True)
    assert world.answer(world.dev) == "first"


def test_a_canary_is_rolled_back_by_the_errors_of_the_model_itself(world: Any) -> None:
    first = world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    bad = world.approved("raises")

    with (
        world.traffic(world.prod),
        pytest.raises(
            Failure,
            match=r"churn-prod: rolled back to version 1 after .*: alarm churn-prod-errors.*"
            r"version 2 is now Rejected",
        ),
    ):
        deployment.deploy(world.settings, world.prod, world.progress)

    assert world.answer(world.prod) == "first"
    rejected = packages.describe(world.session(world.prod), bad.arn)
    assert rejected.status == "Rejected"
    (decision,) = decisions.read(rejected.reason)
    assert (decision.who, decision.what) == ("mlops deploy", "rejected")
    assert "churn-prod-errors" in decision.why
    again = deployment.deploy(world.settings, world.prod, world.progress)
    assert (again.package, again.changed) == (first.arn, False)
    rows = {row.group: row for row in status.status(world.settings)}
    assert (rows["churn-prod"].version, rows["churn-prod"].status, rows["churn-prod"].serving) == (2, "Rejected", 1)


@pytest.mark.slow
def test_a_rollout_is_rolled_back_by_a_metric_of_the_projects_own_which_the_command_names(world: Any) -> None:
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    doubtful = world.approved("second")

    def doubt(line: str) -> None:
        if line == "churn-prod: Updating":
            data = [{"MetricName": "Uncertain", "Value": 25.0}]
            world.client(world.prod, "cloudwatch").put_metric_data(Namespace="churn", MetricData=data)

    with pytest.raises(Failure, match=r"alarm churn-prod-doubt read 25, limit 10; version 2 is now Rejected"):
        deployment.deploy(world.settings, world.prod, doubt)

    (decision,) = decisions.read(packages.describe(world.session(world.prod), doubtful.arn).reason)
    assert "churn-prod-doubt read 25" in decision.why
    assert world.answer(world.prod) == "first"


@pytest.mark.slow
@pytest.mark.parametrize("doubtful", [False, True], ids=["latency", "two at once"])
def test_a_rollout_is_rolled_back_by_latency_which_is_said_in_milliseconds(world: Any, doubtful: bool) -> None:
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    slow = world.approved("second")
    dimensions = [{"Name": "EndpointName", "Value": "churn-prod"}, {"Name": "VariantName", "Value": "model"}]
    latency = [{"MetricName": "ModelLatency", "Dimensions": dimensions, "Value": 7_500_000.0}]
    doubt = [{"MetricName": "Uncertain", "Value": 25.0}]
    said = r"alarm churn-prod-latency read 7500 ms, limit \d+ ms"

    def slows(line: str) -> None:
        if line == "churn-prod: Updating":
            cloudwatch = world.client(world.prod, "cloudwatch")
            if doubtful:
                cloudwatch.put_metric_data(Namespace="churn", MetricData=doubt)
            cloudwatch.put_metric_data(Namespace="AWS/SageMaker", MetricData=latency)

    with pytest.raises(Failure, match=rf"{said}.*; version 2 is now Rejected") as told:
        deployment.deploy(world.settings, world.prod, slows)

    assert ("alarm churn-prod-doubt read 25, limit 10" in str(told.value)) is doubtful
    assert (" and alarm churn-prod-" in str(told.value)) is doubtful
    (decision,) = decisions.read(packages.describe(world.session(world.prod), slow.arn).reason)
    assert re.search(said, decision.why)
    assert world.answer(world.prod) == "first"


@pytest.mark.slow
def test_the_command_says_which_alarm_rolled_a_linear_rollout_back(world: Any, tmp_path: Path) -> None:
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    bad = world.approved("raises")
    given = yaml.safe_load((world.settings.root / "mlops.yaml").read_text())
    # Steps of ten minutes: it is an alarm that ends it, and not its own end.
    given["environments"][2]["endpoint"]["rollout"] = {"kind": "linear", "percent": 50, "wait_seconds": 600}
    (tmp_path / "mlops.yaml").write_text(yaml.safe_dump(given))

    with world.traffic(world.prod):
        done = subprocess.run(
            [sys.executable, "-m", "mlops", "deploy", "--env", "prod", "--version", str(bad.version)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(deployment.__file__).parents[2])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    said = " ".join(done.stderr.split())
    assert done.returncode == 1, said
    assert re.search(r"rolled back to version 1 after .*: alarm churn-prod-errors read \d+, limit", said)
    assert "version 2 is now Rejected" in said
    policy = world.client(world.prod).describe_endpoint(EndpointName="churn-prod")["LastDeploymentConfig"]
    assert policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "LINEAR"
    assert world.answer(world.prod) == "first"
    assert packages.describe(world.session(world.prod), bad.arn).status == "Rejected"


def test_a_version_that_does_not_start_stays_approved(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    second = world.in_dev("second")
    real = endpoints.update

    def without_artefact(*given: Any) -> bool:
        # The bucket loses the artefact between CreateModel and the start of the fleet: not the model's fault.
        bucket, _, key = second.artefact.removeprefix("s3://").partition("/")
        world.client(world.dev, "s3").delete_object(Bucket=bucket, Key=key)
        return real(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoints, "update", without_artefact)
        with pytest.raises(Failure, match=r"rolled back to version 1 .*version 2 is still Approved"):
            deployment.deploy(world.settings, world.dev, world.progress)

    assert packages.describe(world.session(world.dev), second.arn).status == "Approved"
    assert world.answer(world.dev) == "first"


def test_a_rollback_that_nobody_watched_is_not_rolled_out_again(world: Any) -> None:
    """The run that began the rollout was killed; the next one sees what the alarm said, and rejects the version."""
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    bad = world.approved("raises")
    session = world.session(world.prod)
    config = endpoints.prepare(session, world.settings, world.prod, bad)
    with world.traffic(world.prod):
        endpoints.update(session, "churn-prod", config, rollouts.deployment_config(world.prod))
        endpoints.settle(session, "churn-prod", world.progress)
    world.forget_calls()

    with pytest.raises(Failure, match=r"alarm churn-prod-errors.*version 2 is now Rejected"):
        deployment.deploy(world.settings, world.prod, world.progress)

    assert world.calls("UpdateEndpoint") == []
    assert packages.describe(session, bad.arn).status == "Rejected"


def test_the_contract_is_held_and_its_breaks_are_named(world: Any) -> None:
    with pytest.raises(NotFound, match="there is no endpoint churn-dev; mlops deploy --env dev makes it"):
        contract.verify(world.settings, world.dev, world.progress)
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)

    checks = contract.verify(world.settings, world.dev, world.progress)

    assert [(each.name, each.status) for each in checks] == [
        ("a label comes back", 200),
        ("a missing column is named", 400),
    ]
    world.in_dev("raises")
    deployment.deploy(world.settings, world.dev, world.progress)
    with pytest.raises(Failure, match="a label comes back: status 200 expected, got 500"):
        contract.verify(world.settings, world.dev, world.progress)


def test_a_prediction_says_which_version_gave_it_and_a_refusal_why(world: Any) -> None:
    world.in_dev("first")
    with pytest.raises(NotFound, match="there is no endpoint churn-dev; mlops deploy --env dev"):
        invocations.predict(world.settings, world.dev, b"1,2", "text/csv", "application/json")
    deployment.deploy(world.settings, world.dev, world.progress)

    answer = invocations.predict(world.settings, world.dev, b"1,2", "text/csv", "application/json")

    assert (answer.body, answer.version, answer.variant) == (b'{"label": "first", "score": 0.5}', 1, "model")
    with pytest.raises(BadInput, match=r"churn-dev refuses the request with 400: .*column a is missing"):
        invocations.predict(world.settings, world.dev, b"bad", "text/csv", "application/json")


def test_rollback_returns_to_the_version_before_and_rejects_the_one_it_leaves(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "jonas")
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    left = world.approved("second")
    deployment.deploy(world.settings, world.prod, world.progress)
    assert world.answer(world.prod) == "second"

    result = deployment.rollback(world.settings, world.prod, world.progress)

    assert (result.version, result.changed) == (1, True)
    assert world.answer(world.prod) == "first"
    assert packages.describe(world.session(world.prod), left.arn).status == "Rejected"
    assert deployment.deploy(world.settings, world.prod, world.progress).changed is False
    again = deployment.rollback(world.settings, world.prod, world.progress)
    assert (again.version, again.changed) == (1, False)
    told = [
        (each.what, each.version, each.who) for each in history.history(world.settings) if each.group == "churn-prod"
    ]
    assert [each for each in told if each[0] not in ("promoted", "approved")] == [
        ("deployed", 1, "jonas"),
        ("deployed", 2, "jonas"),
        ("rejected", 2, "jonas"),
        ("rolled back", 2, "jonas"),
    ]


def test_a_rollback_during_a_rollout_stops_it_through_the_manual_alarm(world: Any) -> None:
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    coming = world.approved("second")
    session = world.session(world.prod)
    config = endpoints.prepare(session, world.settings, world.prod, coming)
    endpoints.update(session, "churn-prod", config, rollouts.deployment_config(world.prod))

    result = deployment.rollback(world.settings, world.prod, world.progress)

    assert result.version == 1
    assert world.answer(world.prod) == "first"
    assert packages.describe(session, coming.arn).status == "Rejected"
    assert alarms.firing(session, world.prod) == []
    assert any("stopping the rollout of version 2 through churn-prod-manual" in line for line in world.said)


def test_a_rollback_goes_only_to_what_is_approved_and_older(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    with pytest.raises(NotFound, match="no approved version served before version 1"):
        deployment.rollback(world.settings, world.dev, world.progress)
    with pytest.raises(BadInput, match="--to is 5, newer than version 1"):
        deployment.rollback(world.settings, world.dev, world.progress, to=5)
    world.in_dev("second")
    approval.reject(world.settings, world.dev, by="somebody", why="wrong data", version=1)
    deployment.deploy(world.settings, world.dev, world.progress)

    with pytest.raises(Failure, match=r"churn-dev version 1 is Rejected; to go back to it: mlops approve"):
        deployment.rollback(world.settings, world.dev, world.progress, to=1)


def test_a_deployment_waits_for_the_one_that_is_under_way(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    package = world.in_dev("second")
    session = world.session(world.dev)
    config = endpoints.prepare(session, world.settings, world.dev, package)
    policy = {**rollouts.unguarded()["BlueGreenUpdatePolicy"], "TerminationWaitInSeconds": 60}
    endpoints.update(session, "churn-dev", config, {"BlueGreenUpdatePolicy": policy})
    world.forget_calls()

    result = deployment.deploy(world.settings, world.dev, world.progress)

    assert (result.version, result.changed) == (2, False)
    assert world.calls("UpdateEndpoint") == []
    assert world.answer(world.dev) == "second"


def test_an_alarm_that_is_not_there_is_named_before_anything_is_rolled_out(world: Any) -> None:
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    world.approved("second")
    nowhere = Signal(name="nowhere", metric="Uncertain", above=1)
    endpoint = world.prod.endpoint.model_copy(update={"alarms": (nowhere,)})
    watched = world.prod.model_copy(update={"endpoint": endpoint})
    world.forget_calls()

    with pytest.raises(Failure, match=r"churn-prod: alarm churn-prod-nowhere of its rollout is not there, so nothing"):
        deployment.deploy(world.settings, watched, world.progress)

    assert world.calls("CreateModel", "CreateEndpointConfig", "UpdateEndpoint") == []
    assert world.answer(world.prod) == "first"
