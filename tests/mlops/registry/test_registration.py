"""Registration: what is registered, what is refused, and that it happens once."""

import dataclasses
import json
from typing import Any

import pytest

from mlops.errors import DigestMismatch, Failure
from mlops.registry import groups, packages, registration


def test_groups_are_created_once_and_let_the_accounts_around_them_read(world: Any) -> None:
    world.client(world.dev).delete_model_package_group_policy(ModelPackageGroupName="churn-dev")
    world.client(world.prod).delete_model_package_group(ModelPackageGroupName="churn-prod")
    world.forget_calls()

    groups.create(world.settings)
    again = groups.create(world.settings)

    assert [(each.name, each.environment, each.versions) for each in again] == [
        ("churn-feature", "feature", 0),
        ("churn-dev", "dev", 0),
        ("churn-prod", "prod", 0),
    ]
    assert len(world.calls("PutModelPackageGroupPolicy")) == 2
    for environment, reader in [(world.dev, "222222222222"), (world.prod, "111111111111")]:
        name = environment.group
        answer = world.client(environment).get_model_package_group_policy(ModelPackageGroupName=name)
        principals = {statement["Principal"]["AWS"] for statement in json.loads(answer["ResourcePolicy"])["Statement"]}
        assert principals == {f"arn:aws:iam::{reader}:root"}


def test_a_model_is_registered_with_where_it_came_from(world: Any) -> None:
    model, lineage = world.model("first", roc_auc=0.97), world.lineage()

    package = registration.register(
        world.settings, world.feature, model, lineage, "https://github.com/o/r/actions/runs/7", "somebody"
    )

    assert (package.group, package.version, package.status) == ("churn-feature", 1, "Approved")
    assert (package.fingerprint, package.commit) == (lineage.fingerprint, lineage.commit)
    assert package.artefact == (
        f"s3://churn-feature-111111111111/models/{lineage.fingerprint}/{model.digest}/model.tar.gz"
    )
    assert world.digest(package) == model.digest
    assert (
        package.metadata
        | {
            "branch": "feature/deeper-trees",
            "training_job": model.training_job,
            "registered_by": "somebody",
            "run_url": "https://github.com/o/r/actions/runs/7",
            "parameter.train.C": "1.0",
            "metric.roc_auc": "0.97",
            "metric.roc_auc.low": "0.96",
        }
        == package.metadata
    )
    answer = world.client(world.feature).describe_model_package(ModelPackageName=package.arn)
    card = json.loads(answer["ModelCard"]["ModelCardContent"])
    assert card["training_details"]["training_job_details"]["training_arn"] == model.training_job


def test_registering_again_gives_the_same_version_and_writes_nothing(world: Any) -> None:
    first = world.register()
    world.forget_calls()

    again = world.register(fingerprint=first.fingerprint)

    assert again == first
    assert world.calls("CreateModelPackage", "CopyObject", "PutObject") == []


def test_another_run_of_the_same_tree_gets_the_version_of_the_first(world: Any, monkeypatch: Any) -> None:
    lineage = world.lineage()
    first = registration.register(world.settings, world.feature, world.model(), lineage, "https://run/1", "one")
    find = packages.find
    # The second run looked before the first one had written.
    answers = iter([None])
    monkeypatch.setattr(packages, "find", lambda *given: next(answers, None) or find(*given))

    second = registration.register(world.settings, world.feature, world.model(), lineage, "https://run/2", "two")

    assert second == first


def test_a_model_below_the_gate_is_refused_before_anything_is_written(world: Any) -> None:
    world.forget_calls()

    with pytest.raises(Failure, match=r"roc_auc is 0\.9, at least 0\.95"):
        registration.register(world.settings, world.feature, world.model(roc_auc=0.9), world.lineage(), "", "somebody")

    assert world.calls() == []


def test_an_artefact_that_the_job_did_not_make_is_refused(world: Any) -> None:
    other = dataclasses.replace(world.model("first"), artefact=world.model("second").artefact)

    with pytest.raises(Failure, match="training job churn-feature-train-first made s3://"):
        registration.register(world.settings, world.feature, other, world.lineage(), "", "somebody")

    assert packages.listing(world.session(world.feature), "churn-feature") == []


def test_an_artefact_that_was_replaced_is_refused(world: Any) -> None:
    changed = dataclasses.replace(world.model("first"), digest="0" * 64)

    with pytest.raises(DigestMismatch, match=r"SHA-256 is [0-9a-f]{64}, training job \S+-first made 00"):
        registration.register(world.settings, world.feature, changed, world.lineage(), "", "somebody")


def test_metadata_keeps_to_the_service_limits(world: Any) -> None:
    lineage = dataclasses.replace(
        world.lineage(),
        branch="feature/ümläut#7 [x]" + "y" * 300,
        parameters={f"train.p{number}": "[1, 2]" for number in range(80)},
    )

    package = registration.register(world.settings, world.feature, world.model(), lineage, "", "somebody")

    # Eleven more may come: from where, by whom and by which commit it came, from when until when it serves as
    # challenger, when it was verified, and what the gate says there.
    assert len(package.metadata) == 39
    assert package.metadata["branch"].startswith("feature/ümläut_7 _x_y")
    assert max(map(len, package.metadata.values())) == 256
    assert package.metadata["metric.roc_auc"] == "0.99"


def test_a_fingerprint_is_found_among_a_thousand_versions_in_twelve_calls(world: Any) -> None:
    sagemaker = world.client(world.feature)
    wanted = world.register()
    specification = packages.specification(wanted.image, wanted.artefact)
    for number in range(999):
        sagemaker.create_model_package(
            ModelPackageGroupName="churn-feature",
            ModelPackageDescription=packages.description(f"{number:064x}", "0" * 40),
            InferenceSpecification=specification,
        )
    world.forget_calls()

    assert packages.find(world.session(world.feature), "churn-feature", wanted.fingerprint) == wanted

    assert len(world.calls()) <= 12
