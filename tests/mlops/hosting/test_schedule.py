"""Stops and starts: the same model comes back and scales as it did, whatever was killed in between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlops import aws, storage
from mlops.errors import BadInput, Failure, NotFound
from mlops.hosting import deployment, endpoints, schedule, shadows
from mlops.hosting.teardown import teardown
from mlops.registry import approval, status
from mlops.settings.serving import AllAtOnce, Autoscaling, Endpoint, Shadow
from mlops.setup import inventory

RESOURCE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn-dev/variant/model",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
POLICY = {
    "TargetValue": 50.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    "ScaleInCooldown": 300,
}


@pytest.fixture
def running(world: Any) -> Any:
    """dev, with an endpoint that scales; nothing of earlier tests is remembered."""
    client = world.client(world.dev, "application-autoscaling")
    for each in client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]:
        client.deregister_scalable_target(**{name: each[name] for name in RESOURCE})
    schedule.keep(world.session(world.dev), world.dev.bucket, "churn-dev", None)
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    client.register_scalable_target(**RESOURCE, MinCapacity=1, MaxCapacity=3)
    client.put_scaling_policy(
        **RESOURCE, PolicyName="follow", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=POLICY,
    )  # fmt: skip
    yield world
    schedule.keep(world.session(world.dev), world.dev.bucket, "churn-dev", None)


def scaling(world: Any) -> list[Any]:
    """What scales in dev, and how."""
    client = world.client(world.dev, "application-autoscaling")
    targets = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    policies = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return [
        *((each["ResourceId"], each["MinCapacity"], each["MaxCapacity"]) for each in targets),
        *((each["PolicyName"], each["TargetTrackingScalingPolicyConfiguration"]) for each in policies),
    ]


def word(world: Any) -> tuple[str, int | None]:
    """What `mlops status` says of dev's endpoint."""
    row = next(each for each in status.status(world.settings) if each.environment == "dev")
    return row.endpoint_status, row.serving


def do(world: Any, what: str) -> str:
    """Stop or start dev, as the command does; what is said of its endpoint."""
    try:
        (change,) = {"stop": schedule.end, "start": schedule.begin}[what](world.settings, world.dev, world.progress)
    finally:
        policies_go_with_their_target(world)
    return str(change.done)


def policies_go_with_their_target(world: Any) -> None:
    """As AWS deletes them, which moto does not."""
    client = world.client(world.dev, "application-autoscaling")
    if not client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]:
        for each in client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]:
            client.delete_scaling_policy(**RESOURCE, PolicyName=each["PolicyName"])


def test_a_stopped_endpoint_comes_back_with_its_model_its_tags_and_its_scaling(running: Any) -> None:
    session = running.session(running.dev)
    before, tags = scaling(running), schedule.tags(session, "churn-dev")
    config = endpoints.state(session, "churn-dev").config

    assert (do(running, "stop"), do(running, "stop")) == ("stopped", "stopped already")
    assert endpoints.state(session, "churn-dev") is None
    assert (scaling(running), word(running)) == ([], ("stopped", None))

    assert (do(running, "start"), do(running, "start")) == ("started", "not stopped")
    assert running.answer(running.dev) == "first"
    assert endpoints.state(session, "churn-dev").config == config
    assert (scaling(running), schedule.tags(session, "churn-dev")) == (before, tags)
    assert word(running) == ("InService", 1)


@pytest.mark.slow
def test_a_rollback_while_an_endpoint_is_stopped_says_how_the_version_before_starts(running: Any) -> None:
    running.in_dev("second")
    deployment.deploy(running.settings, running.dev, running.progress)
    do(running, "stop")

    with pytest.raises(NotFound) as told:
        deployment.rollback(running.settings, running.dev, running.progress)

    said = (
        "there is no endpoint churn-dev; it is stopped, and starts with version 2: mlops reject --env dev --version 2"
    )
    assert str(told.value).startswith(said)
    assert str(told.value).endswith("mlops deploy --env dev starts it with the approved version before")
    approval.reject(running.settings, running.dev, by="ines", why="too slow", version=2)
    assert deployment.deploy(running.settings, running.dev, running.progress).version == 1
    assert running.answer(running.dev) == "first"


STOPS = ["PutObject", "DeregisterScalableTarget", "DeleteEndpoint"]
STARTS = ["CreateEndpoint", "RegisterScalableTarget", "PutScalingPolicy", "PutObject"]


def killed(world: Any, what: str, operation: str) -> None:
    """Do it with a fault right after a call: what the call did is done, and nothing after it."""
    fault = {"operation": operation, "when": "after", "status": 400, "code": "Killed"}
    world.server.control("POST", "faults", fault)
    with pytest.raises(Failure, match="Killed"):
        do(world, what)
    world.server.control("DELETE", "faults")


def test_killed_after_any_call_and_run_again_it_ends_the_same(running: Any) -> None:
    before = scaling(running)
    for operation in STOPS:
        killed(running, "stop", operation)
    do(running, "stop")
    assert (word(running)[0], scaling(running)) == ("stopped", [])

    for operation in STARTS:
        killed(running, "start", operation)
    do(running, "start")
    assert (word(running), scaling(running)) == (("InService", 1), before)


@pytest.fixture
def in_zone() -> Iterator[Callable[[str], None]]:
    """Sets the zone of this machine's clock, while the test runs."""
    with pytest.MonkeyPatch.context() as patch:

        def to(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()

        yield to
    time.tzset()


def test_an_event_that_comes_while_an_endpoint_is_stopped_forgets_nothing(
    running: Any, monkeypatch: pytest.MonkeyPatch, in_zone: Callable[[str], None]
) -> None:
    before, delete, said = scaling(running), schedule.delete, []
    in_zone("Asia/Tokyo")

    def late(session: Any, endpoint: str) -> None:
        # A function of Lambda has UTC, whoever stops the endpoint at a desk.
        in_zone("UTC")
        said.append(schedule.restore(session, running.dev.bucket, endpoint).done)
        delete(session, endpoint)

    monkeypatch.setattr(schedule, "delete", late)

    assert (do(running, "stop"), said) == ("stopped", ["being stopped"])
    assert do(running, "start") == "started"
    assert scaling(running) == before


def test_a_start_after_a_stop_that_was_killed_before_it_deleted_anything_lets_it_scale_again(running: Any) -> None:
    before = scaling(running)
    killed(running, "stop", "DeregisterScalableTarget")

    assert do(running, "start") == "started"
    assert scaling(running) == before
    assert schedule.kept(running.session(running.dev), running.dev.bucket, "churn-dev") is None


def test_an_evening_that_comes_before_a_killed_start_was_run_again_loses_no_scaling(running: Any) -> None:
    before = scaling(running)
    do(running, "stop")
    killed(running, "start", "RegisterScalableTarget")

    do(running, "stop")
    do(running, "start")

    assert (word(running), scaling(running)) == (("InService", 1), before)


def test_a_deployment_brings_a_stopped_endpoint_up_with_the_newest_version(running: Any) -> None:
    before = scaling(running)
    do(running, "stop")
    running.in_dev("second")

    deployment.deploy(running.settings, running.dev, running.progress)

    assert any("it was stopped, and is up again" in line for line in running.said)
    assert (running.answer(running.dev), word(running)) == ("second", ("InService", 2))
    assert (do(running, "start"), scaling(running)) == ("started", before)
    do(running, "stop")
    do(running, "start")
    assert running.answer(running.dev) == "second"


def test_a_shadow_ends_with_the_stop_and_does_not_come_back_with_the_start(running: Any) -> None:
    session, client = running.session(running.dev), running.client(running.dev, "application-autoscaling")
    alone = endpoints.state(session, "churn-dev").config
    endpoint = running.dev.endpoint.model_copy(update={"rollout": Shadow(kind="shadow")})
    dev = running.dev.model_copy(update={"endpoint": endpoint})
    client.deregister_scalable_target(**RESOURCE)
    shadowed = shadows.prepare(session, running.settings, dev, running.in_dev("second"), alone)
    endpoints.update(session, "churn-dev", shadowed, {})
    assert endpoints.settle(session, "churn-dev", running.progress).config == shadowed

    do(running, "stop")
    do(running, "start")

    assert endpoints.state(session, "churn-dev").config == alone
    assert word(running) == ("InService", 1)


def test_a_start_leaves_the_scaling_that_a_deployment_has_brought_meanwhile(running: Any) -> None:
    schedule.end(running.settings, running.dev, running.progress)
    asked = Autoscaling(min=1, max=7, invocations_per_instance=100)
    endpoint = Endpoint(rollout=AllAtOnce(bake_seconds=0), autoscaling=asked)
    scaled = running.dev.model_copy(update={"endpoint": endpoint})
    deployment.deploy(running.settings, scaled, running.progress)

    schedule.begin(running.settings, scaled, running.progress)

    assert scaling(running)[0] == (RESOURCE["ResourceId"], 1, 7)


def test_what_was_rejected_meanwhile_does_not_start(running: Any) -> None:
    do(running, "stop")
    approval.reject(running.settings, running.dev, by="mira", why="wrong data", version=1)

    with pytest.raises(Failure, match="churn-dev version 1 is Rejected; mlops deploy brings another"):
        do(running, "start")

    assert word(running)[0] == "stopped"


def test_an_endpoint_that_was_torn_down_is_not_started(running: Any) -> None:
    do(running, "stop")
    teardown(running.settings, running.dev, "churn-dev", running.progress)

    assert (word(running)[0], do(running, "start")) == ("", "not stopped")


def test_a_destroy_forgets_that_an_endpoint_was_stopped(running: Any) -> None:
    do(running, "stop")
    administrator = aws.base(running.settings, running.dev)

    listed = list(inventory.serving(administrator, running.settings, running.dev, running.progress))
    (note,) = [each for each in listed if each.what == "note that churn-dev is stopped"]
    assert note.remove is not None
    note.remove()

    assert not schedule.kept(administrator, running.dev.bucket, "churn-dev")
    assert do(running, "start") == "not stopped"


def test_what_would_not_come_back_is_not_stopped(running: Any) -> None:
    client = running.client(running.dev, "application-autoscaling")
    before = scaling(running)
    client.put_scheduled_action(**RESOURCE, ScheduledActionName="monday", Schedule="cron(0 8 ? * MON *)",
                                ScalableTargetAction={"MinCapacity": 2})  # fmt: skip

    with pytest.raises(Failure, match="scales by scheduled action monday, which would not come back"):
        do(running, "stop")

    client.delete_scheduled_action(**RESOURCE, ScheduledActionName="monday")
    assert (word(running)[0], scaling(running)) == ("InService", before)


def test_a_record_that_says_nothing_is_named(running: Any) -> None:
    do(running, "stop")
    place = schedule.record(running.dev.bucket, "churn-dev")
    storage.write(running.session(running.dev), place, json.dumps({"x": 1}).encode())

    with pytest.raises(Failure, match=r"endpoints/churn-dev/stopped.json: it does not say"):
        do(running, "start")


def test_an_environment_without_an_endpoint_has_nothing_to_stop(world: Any) -> None:
    with pytest.raises(BadInput, match="'feature', which has no endpoint"):
        schedule.end(world.settings, world.feature, world.progress)
