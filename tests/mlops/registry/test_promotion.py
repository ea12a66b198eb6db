"""Promotion: the copy, what is refused, and that two at once make one version."""

import dataclasses
import threading
from typing import Any

import pytest

from mlops import aws, storage
from mlops.errors import BadInput, DigestMismatch, Failure, NotApproved, NotFound
from mlops.hosting import deployment
from mlops.registry import approval, history, packages, promotion


def versions(world: Any, environment: Any) -> list[tuple[int, str]]:
    found = packages.listing(world.session(environment), environment.group)
    return [(each.version, each.fingerprint) for each in found]


def test_a_model_is_copied_byte_for_byte_across_accounts(world: Any) -> None:
    source = world.register()

    (dev,) = world.promote(source.fingerprint, world.dev)
    (prod,) = world.promote(source.fingerprint, world.prod)

    assert (dev.status, prod.status) == ("Approved", "PendingManualApproval")
    assert prod.artefact.startswith("s3://churn-prod-222222222222/models/")
    assert [world.digest(each) for each in (source, dev, prod)] == [source.digest] * 3
    assert prod.metadata["promoted_from"] == dev.arn
    assert prod.metadata["baseline_uri"].startswith("s3://churn-prod-222222222222/baselines/")
    assert prod.metadata["gate_uri"].startswith("s3://churn-prod-222222222222/baselines/")
    copied = {"promoted_from", "promoted_by", "baseline_uri", "gate_uri"}
    assert packages.VERIFIED in dev.metadata
    assert {key: value for key, value in prod.metadata.items() if key not in copied} == {
        key: value for key, value in source.metadata.items() if key not in copied
    }


def test_promoting_again_gives_the_same_version_and_writes_nothing(world: Any) -> None:
    source = world.register()
    first = world.promote(source.fingerprint, world.dev)
    world.forget_calls()

    assert world.promote(source.fingerprint, world.dev) == first
    assert world.calls("CreateModelPackage", "CopyObject", "PutObject") == []


def test_what_was_not_verified_in_dev_does_not_come_to_prod_and_its_copy_is_not_verified(world: Any) -> None:
    fingerprint = world.register().fingerprint
    (dev,) = promotion.promote(world.settings, world.dev, fingerprint)

    said = "churn-dev version 1 has not passed dev yet: nothing was found well with it on churn-dev; when dev's run"
    with pytest.raises(NotApproved, match=said):
        promotion.promote(world.settings, world.prod, fingerprint)
    assert versions(world, world.prod) == []

    verified = world.verified(dev).metadata[packages.VERIFIED]
    (prod,) = promotion.promote(world.settings, world.prod, fingerprint)
    assert packages.VERIFIED not in prod.metadata
    assert world.verified(packages.describe(world.session(world.dev), dev.arn)).metadata["verified"] == verified


def test_a_corrupted_artefact_is_refused(world: Any) -> None:
    source = world.register()
    storage.write(world.session(world.feature), source.artefact, b"something else")

    with pytest.raises(DigestMismatch, match=f"{source.digest} was registered"):
        world.promote(source.fingerprint, world.dev)

    assert versions(world, world.dev) == []


def test_a_truncated_copy_from_a_killed_run_is_overwritten(world: Any) -> None:
    source = world.register()
    target = source.artefact.replace("churn-feature", "churn-dev")
    storage.write(world.session(world.dev), target, storage.read(world.session(world.dev), source.artefact)[:20])

    (package,) = world.promote(source.fingerprint, world.dev)

    assert world.digest(package) == source.digest


def test_what_did_not_pass_dev_does_not_come_to_main(world: Any) -> None:
    source = world.register()

    with pytest.raises(NotFound, match="merge main into dev first"):
        world.promote(source.fingerprint, world.prod)


def test_what_nobody_trained_says_how_it_is_trained(world: Any) -> None:
    with pytest.raises(NotFound, match="run mlops run --env feature, then mlops register"):
        world.promote("0" * 64, world.dev)


def test_models_do_not_come_into_the_first_environment(world: Any) -> None:
    with pytest.raises(BadInput, match="--to is feature"):
        promotion.promote(world.settings, world.feature, "0" * 64)


def test_what_dev_rejected_does_not_go_further(world: Any) -> None:
    package = world.in_dev()
    approval.reject(world.settings, world.dev, by="somebody", why="errors under load", version=1)

    with pytest.raises(NotApproved, match=r"churn-dev version 1 is Rejected \(rejected .* by somebody: errors under"):
        world.promote(package.fingerprint, world.prod)


def test_a_version_that_sagemaker_has_not_made_goes_nowhere(world: Any, monkeypatch: Any) -> None:
    source = world.register()
    dev = world.in_dev("second")
    describe = packages.describe
    monkeypatch.setattr(packages, "describe", lambda *given: dataclasses.replace(describe(*given), made="Failed"))

    with pytest.raises(Failure, match="churn-feature version 1 is Failed in the registry"):
        world.promote(source.fingerprint, world.dev)
    with pytest.raises(Failure, match="churn-dev version 1 is Failed in the registry"):
        deployment.deploy(world.settings, world.dev, world.progress)
    with pytest.raises(Failure, match="churn-prod version 1 is Failed in the registry"):
        monkeypatch.setattr(packages, "describe", describe)
        world.promote(dev.fingerprint, world.prod)
        monkeypatch.setattr(packages, "describe", lambda *given: dataclasses.replace(describe(*given), made="Failed"))
        approval.approve(world.settings, world.prod, by="somebody", why="well")


def test_the_status_of_a_version_is_that_of_the_registry(world: Any) -> None:
    assert world.register().made == "Completed"


def test_history_says_who_promoted_and_who_deployed(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "mira[bot]")
    world.in_dev()
    monkeypatch.setenv("GITHUB_ACTOR", "jonas")
    deployment.deploy(world.settings, world.dev, world.progress)

    found = {(each.what, each.who) for each in history.history(world.settings) if each.group == "churn-dev"}

    assert found == {("promoted", "mira_bot_"), ("deployed", "jonas")}


def test_a_revert_makes_a_new_version(world: Any) -> None:
    first = world.in_dev("first")
    second = world.in_dev("second")

    (again,) = world.promote(first.fingerprint, world.dev)

    assert versions(world, world.dev) == [(3, first.fingerprint), (2, second.fingerprint), (1, first.fingerprint)]
    assert (again.version, again.artefact) == (3, first.artefact)


def test_a_rejected_model_is_not_revived_by_promoting_it_again(world: Any) -> None:
    first = world.in_dev("first")
    approval.reject(world.settings, world.dev, by="somebody", why="wrong data", version=1)
    world.in_dev("second")

    with pytest.raises(Failure, match=r"churn-dev version 1 holds this model and was Rejected \(.*wrong data\)"):
        world.promote(first.fingerprint, world.dev)

    assert [version for version, _ in versions(world, world.dev)] == [2, 1]


def test_two_promotions_at_once_make_one_version(world: Any, monkeypatch: Any) -> None:
    source = world.register()
    together = threading.Barrier(2)
    create = packages.create

    def create_together(*given: Any, **named: Any) -> packages.ModelPackage:
        together.wait(30)
        return create(*given, **named)

    monkeypatch.setattr(packages, "create", create_together)
    found: list[packages.ModelPackage] = []
    threads = [
        threading.Thread(target=lambda: found.extend(world.promote(source.fingerprint, world.dev))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [each.version for each in found] == [1, 1]
    assert versions(world, world.dev) == [(1, source.fingerprint)]


def test_the_deploy_role_may_not_approve(world: Any) -> None:
    (package,) = world.promote(world.in_dev().fingerprint, world.prod)
    session = aws.session(world.settings, world.prod, "deploy")

    with pytest.raises(Failure, match=r"UpdateModelPackage .*AccessDenied"):
        packages.set_status(session, package, "Approved", "")

    assert packages.describe(world.session(world.prod), package.arn).status == "PendingManualApproval"


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400, "code": "ThrottlingException"},
        {"status": 500, "code": "InternalFailure"},
        {"status": 503, "code": "ServiceUnavailable", "when": "after"},
    ],
    ids=["throttled", "failing", "done, but the answer is lost"],
)
def test_throttling_and_faults_are_tried_again(world: Any, fault: dict[str, Any]) -> None:
    source = world.register()
    world.server.control("POST", "faults", {"operation": "CreateModelPackage", **fault})

    (package,) = world.promote(source.fingerprint, world.dev)

    assert world.server.control("GET", "faults") == []
    assert versions(world, world.dev) == [(package.version, source.fingerprint)]
