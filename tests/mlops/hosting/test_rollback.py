"""Rollback: back to what has really served, unnoticed by clients; and a run made again after it does not look well."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from mlops.errors import BadInput, Failure, NoSuchVersion, NotApproved, NotFound
from mlops.hosting import choice, deployment, endpoints, logbook, rollback, rollouts, served
from mlops.registry import approval, packages

CALLERS = 3


@contextmanager
def load(world: Any, environment: Any) -> Iterator[list[str]]:
    """Clients that try nothing again, while the block runs: what each request was answered."""
    stopped, answers = threading.Event(), []

    def ask() -> None:
        while not stopped.wait(0.005):
            try:
                answers.append(world.answer(environment))
            except Exception as error:
                answers.append(f"failed: {error}")

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def fail_for_capacity(world: Any, environment: Any, package: Any) -> None:
    """Try to deploy a version whose instances do not start: here, their artefact is gone by then."""
    update, bucket = endpoints.update, package.artefact.split("/")[2]
    key = {"Bucket": bucket, "Key": package.artefact.partition(f"{bucket}/")[2]}
    s3 = world.client(environment, "s3")
    content = s3.get_object(**key)["Body"].read()

    def without_artefact(*given: Any) -> bool:
        s3.delete_object(**key)
        return update(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoints, "update", without_artefact)
        with pytest.raises(Failure, match=rf"version {package.version} is still Approved"):
            deployment.deploy(world.settings, environment, world.progress)
    s3.put_object(**key, Body=content)


def statuses(world: Any, environment: Any) -> dict[int, str]:
    """The approval status of each version of an environment."""
    entries = packages.listing(world.session(environment), environment.group)
    return {entry.version: entry.status for entry in entries}


@pytest.mark.slow
def test_a_rollback_is_noticed_by_no_client_and_deletes_no_endpoint(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.forget_calls()

    with load(world, world.dev) as answers:
        deployment.rollback(world.settings, world.dev, world.progress)

    assert set(answers) == {"first", "second"}
    assert world.calls("DeleteEndpoint") == []


@pytest.mark.slow
def test_stopping_a_rollout_is_noticed_by_no_client_and_deletes_no_endpoint(world: Any) -> None:
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    session, coming = world.session(world.prod), world.approved("second")
    config = endpoints.prepare(session, world.settings, world.prod, coming)
    slowly = world.prod.endpoint.rollout.model_copy(update={"wait_seconds": 3600})
    endpoint = world.prod.endpoint.model_copy(update={"rollout": slowly})
    rollout = rollouts.deployment_config(world.prod.model_copy(update={"endpoint": endpoint}))
    world.forget_calls()

    with load(world, world.prod) as answers:
        endpoints.update(session, "churn-prod", config, rollout)
        while world.answer(world.prod) != "second":
            assert endpoints.state(session, "churn-prod").status == "Updating"
        result = deployment.rollback(world.settings, world.prod, world.progress)

    assert (result.version, set(answers)) == (1, {"first", "second"})
    assert world.calls("DeleteEndpoint") == []
    updates = [
        call["resource"] for call in world.server.control("GET", "calls") if call["operation"] == "UpdateEndpoint"
    ]
    assert sum(resource.endswith(":endpoint/churn-prod") for resource in updates) == 1


@pytest.mark.slow
def test_a_rollout_that_begins_while_a_rollback_rejects_its_version_is_stopped(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.approved("first")
    deployment.deploy(world.settings, world.prod, world.progress)
    session = world.session(world.prod)
    config = endpoints.prepare(session, world.settings, world.prod, world.approved("second"))
    reject = rollback.reject

    def late(*given: Any) -> None:
        endpoints.update(session, "churn-prod", config, rollouts.deployment_config(world.prod))
        reject(*given)

    with monkeypatch.context() as patch:
        patch.setattr(rollback, "reject", late)
        result = deployment.rollback(world.settings, world.prod, world.progress)

    settled = endpoints.settle(session, "churn-prod", world.progress)
    assert (result.version, endpoints.version_of(settled.config), world.answer(world.prod)) == (1, 1, "first")


@pytest.mark.slow
def test_a_second_rollback_while_the_old_instances_go_waits_and_goes_no_further(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        world.in_dev(name)
        deployment.deploy(world.settings, world.dev, world.progress)
    deployment.rollback(world.settings, world.dev, world.progress)
    describe, looks = endpoints.state, []

    def still_updating(session: Any, endpoint: str) -> Any:
        found = describe(session, endpoint)
        looks.append(found)
        return replace(found, status="Updating", pending=found.config) if len(looks) == 1 else found

    world.forget_calls()
    with monkeypatch.context() as patch:
        patch.setattr(endpoints, "state", still_updating)
        result = deployment.rollback(world.settings, world.dev, world.progress)

    assert (result.version, result.changed, world.answer(world.dev)) == (1, False, "first")
    assert (world.calls("UpdateEndpoint"), statuses(world, world.dev)) == ([], {1: "Approved", 2: "Rejected"})


@pytest.mark.slow
def test_a_rollback_passes_over_a_version_that_never_served(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    fail_for_capacity(world, world.dev, world.in_dev("second"))
    world.in_dev("third")
    deployment.deploy(world.settings, world.dev, world.progress)

    result = deployment.rollback(world.settings, world.dev, world.progress)

    assert (result.version, world.answer(world.dev)) == (1, "first")
    # Were the second still Approved, the next deployment would bring it.
    assert statuses(world, world.dev) == {1: "Approved", 2: "Rejected", 3: "Rejected"}


def test_a_rollback_after_a_deployment_failed_half_way_rejects_what_it_brought(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    fail_for_capacity(world, world.dev, world.in_dev("second"))
    world.forget_calls()

    result = deployment.rollback(world.settings, world.dev, world.progress)

    assert (result.version, world.answer(world.dev)) == (1, "first")
    assert statuses(world, world.dev) == {1: "Approved", 2: "Rejected"}
    assert world.calls("UpdateEndpoint", "DeleteEndpoint") == []
    assert deployment.rollback(world.settings, world.dev, world.progress).changed is False


@pytest.mark.slow
def test_a_rollback_makes_a_failed_endpoint_again_with_what_has_served(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    session, bad = world.session(world.dev), world.in_dev("second")
    endpoints.remove(session, "churn-dev", world.progress)
    config = endpoints.prepare(session, world.settings, world.dev, bad)
    bucket, _, key = bad.artefact.removeprefix("s3://").partition("/")
    world.client(world.dev, "s3").delete_object(Bucket=bucket, Key=key)
    endpoints.create(session, world.settings, world.dev, config)
    assert endpoints.settle(session, "churn-dev", world.progress).status == "Failed"

    result = deployment.rollback(world.settings, world.dev, world.progress)

    assert (result.version, world.answer(world.dev)) == (1, "first")
    assert statuses(world, world.dev) == {1: "Approved", 2: "Rejected"}


@pytest.mark.slow
def test_what_a_killed_run_brought_to_serve_counts_as_served(world: Any) -> None:
    package = world.in_dev("first")
    session = world.session(world.dev)
    config = endpoints.prepare(session, world.settings, world.dev, package)
    endpoints.create(session, world.settings, world.dev, config)
    endpoints.settle(session, "churn-dev", world.progress)
    assert not served.since(session, world.settings, world.dev, config)
    world.in_dev("second")

    deployment.deploy(world.settings, world.dev, world.progress)

    assert served.since(session, world.settings, world.dev, config)
    assert deployment.rollback(world.settings, world.dev, world.progress).version == 1


def test_a_run_made_again_after_its_version_was_rolled_back_fails_and_says_by_what(world: Any) -> None:
    world.in_dev("first")
    deployment.deploy(world.settings, world.dev, world.progress)
    world.in_dev("second")
    approval.reject(world.settings, world.dev, "mlops deploy", "rolled back by alarm churn-dev-errors read 3", 2)
    world.forget_calls()

    with pytest.raises(NotApproved, match=r"churn-dev version 2 is Rejected \(.*alarm churn-dev-errors read 3\)"):
        deployment.deploy(world.settings, world.dev, world.progress, brought=2)

    assert world.calls("UpdateEndpoint") == []
    assert deployment.deploy(world.settings, world.dev, world.progress, brought=1).version == 1


@pytest.mark.slow
def test_a_late_event_of_an_older_version_leaves_the_newest_alone_and_one_that_waits_is_not_passed_over(
    world: Any,
) -> None:
    world.approved("first")
    world.approved("second")
    assert deployment.deploy(world.settings, world.prod, world.progress, brought=1).version == 2
    world.promote(world.in_dev("third").fingerprint, world.prod)

    with pytest.raises(NotApproved, match=r"churn-prod version 3 is PendingManualApproval: mlops approve --env prod"):
        deployment.deploy(world.settings, world.prod, world.progress, brought=3)
    with pytest.raises(NoSuchVersion, match="churn-prod has no version 4"):
        deployment.deploy(world.settings, world.prod, world.progress, brought=4)


ARN = "arn:aws:sagemaker:eu-west-1:222222222222:model-package/churn-prod/12"


@pytest.mark.parametrize(("text", "version"), [("7", 7), (ARN, 12)])
def test_a_version_is_named_by_its_number_or_its_arn(world: Any, text: str, version: int) -> None:
    assert choice.version_of(text, world.prod) == version


@pytest.mark.parametrize(
    "text", ["by hand", "0", "-1", "prod/3", ARN.replace("churn-prod", "churn-dev"), ARN[:-2], "٣"]
)
def test_another_text_is_no_version(world: Any, text: str) -> None:
    with pytest.raises(BadInput, match="--version is"):
        choice.version_of(text, world.prod)


@pytest.mark.slow
def test_a_rollback_from_a_version_that_was_deleted_ends_well_and_a_second_one_goes_no_further(world: Any) -> None:
    for label in ("first", "second", "third"):
        deleted = world.in_dev(label)
        deployment.deploy(world.settings, world.dev, world.progress)
    world.client(world.dev).delete_model_package(ModelPackageName=deleted.arn)

    results = [deployment.rollback(world.settings, world.dev, world.progress) for _ in range(2)]

    assert [(each.version, each.changed) for each in results] == [(2, True), (2, False)]
    assert (world.answer(world.dev), statuses(world, world.dev)) == ("second", {1: "Approved", 2: "Approved"})
    last = logbook.last(world.session(world.dev), world.dev.bucket, "churn-dev")
    assert last is not None and (last.what, last.version, last.package) == ("rolled back", 3, deleted.arn)


@pytest.mark.slow
@pytest.mark.parametrize("to", [None, 1])
def test_where_no_version_of_the_group_serves_there_is_none_before_it(world: Any, to: int | None) -> None:
    package, session = world.in_dev("first"), world.session(world.dev)
    model = endpoints.model(session, world.settings, world.dev, package)
    variant = {"VariantName": "model", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    world.client(world.dev).create_endpoint_config(EndpointConfigName="by-hand", ProductionVariants=[variant])
    endpoints.create(session, world.settings, world.dev, "by-hand")
    endpoints.settle(session, "churn-dev", world.progress)

    with pytest.raises(NotFound) as told:
        deployment.rollback(world.settings, world.dev, world.progress, to=to)

    assert str(told.value).startswith("churn-dev serves no version of churn-dev, so none of them is the one before")
    assert "mlops deploy --env dev brings" in str(told.value)
