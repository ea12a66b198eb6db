"""The life of a repository, pushed through its real workflows, held after each deed against the flow table.

Models are trained in the sandbox and jobs are executed by act; conftest.py has the deeds.
"""

import pytest

from harness.world import Moment, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_first_push_passes_its_tests_and_says_what_to_do(world: World, first_push: Moment) -> None:
    assert [run.conclusion for run in first_push.runs] == ["success"] * 3, first_push.told()
    assert {run.name.partition(" ")[0] for run in first_push.runs} >= {"main", "dev", "infra"}, first_push.told()
    assert {job.result for run in first_push.runs for job in run.jobs.values()} == {"success", "skipped"}
    assert all("nothing to do yet" in run.summary and "feature/" in run.summary for run in first_push.runs)
    # No role is taken on: there may be none yet.
    assert all("acting as" not in run.log for run in first_push.runs)
    assert first_push.jobs == []
    assert first_push.serving == {}


def test_a_feature_push_trains_and_registers(world: World, feature: Moment) -> None:
    run = feature.run("feature.yml")
    assert run.conclusion == "success", run.told()
    [version] = feature.groups["feature"]
    assert version.metadata["commit"] == run.event.sha
    assert version.metadata["parameter.train.C"] == "0.5"
    assert len(feature.jobs) == 3
    assert feature.serving == {}
    assert "roc_auc" in run.summary
    assert ("feature", run.event.sha) not in world.github.deployments


def test_a_push_that_changes_nothing_of_the_model_trains_nothing(feature: Moment, unchanged: Moment) -> None:
    assert unchanged.run("feature.yml").conclusion == "success", unchanged.told()
    assert unchanged.jobs == feature.jobs
    assert unchanged.groups["feature"] == feature.groups["feature"]
    assert "Nothing was trained" in unchanged.run("feature.yml").summary


def test_a_pull_request_opened_later_gets_the_report_and_trains_nothing(
    unchanged: Moment, pull_request: Moment
) -> None:
    assert pull_request.run("feature.yml").conclusion == "success", pull_request.told()
    [comment] = pull_request.notes["pull"].comments
    assert "roc_auc" in comment["body"]
    assert pull_request.jobs == unchanged.jobs


def test_a_squash_merge_serves_the_model_that_was_tested(world: World, feature: Moment, squashed: Moment) -> None:
    tested = feature.newest("feature")
    assert squashed.run("dev.yml").conclusion == "success", squashed.told()
    assert squashed.newest("dev").digest == tested.digest
    assert squashed.serving == {"dev": tested.digest}
    assert squashed.jobs == feature.jobs
    assert squashed.notes["predictions"] == world.expected_predictions(tested, "feature")


def test_a_rebase_serves_the_model_that_was_tested(two_features: Moment, rebased: Moment) -> None:
    tested = next(each for each in two_features.groups["feature"] if each.metadata["branch"] == "feature/second")
    assert rebased.run("dev.yml").conclusion == "success", rebased.told()
    assert rebased.serving == {"dev": tested.digest}
    assert rebased.jobs == two_features.jobs


def test_a_tree_that_nobody_trained_is_trained_on_dev_and_registered_in_feature(
    rebased: Moment, merged: Moment
) -> None:
    assert merged.run("dev.yml").conclusion == "success", merged.told()
    known = {version.digest for version in rebased.groups["feature"]}
    together = merged.newest("feature")
    assert together.digest not in known
    assert together.metadata["parameter.train.C"] == "0.3"
    assert together.metadata["parameter.prepare.test_share"] == "0.25"
    assert merged.serving == {"dev": together.digest}
    assert set(merged.jobs) > set(rebased.jobs)


def test_a_revert_serves_the_model_before_and_trains_nothing(rebased: Moment, merged: Moment, reverted: Moment) -> None:
    assert reverted.run("dev.yml").conclusion == "success", reverted.told()
    assert reverted.serving == rebased.serving
    # The gate may ask the model that serves again: the other tree has another test set.
    assert {job for job in set(reverted.jobs) - set(merged.jobs) if "-score-" not in job} == set()
    assert reverted.newest("dev").number == merged.newest("dev").number + 1


def test_an_older_run_that_is_made_again_brings_nothing(reverted: Moment, again: Moment) -> None:
    [run] = again.runs
    assert run.conclusion == "success", run.told()
    assert "passed over" in run.summary
    assert reverted.run("dev.yml").event.sha[:12] in run.summary
    assert again.groups == reverted.groups
    assert again.serving == reverted.serving
    assert again.jobs == reverted.jobs


def test_an_approval_job_in_an_environment_without_rules_approves_nothing(
    reverted: Moment, without_rules: Moment
) -> None:
    run = without_rules.run("main.yml")
    assert run.jobs["approve"].result == "failure", run.told()
    assert "nobody has approved" in run.jobs["approve"].log
    assert run.jobs["deploy"].result == "skipped"
    assert without_rules.newest("prod").status == "PendingManualApproval"
    assert without_rules.serving == reverted.serving


def test_a_merge_to_main_waits_in_productions_group_and_holds_nothing_else(reverted: Moment, held: Moment) -> None:
    assert held.notes["waits_for"] == ["prod-approval"], held.told()
    assert held.newest("prod").status == "PendingManualApproval"
    assert held.newest("prod").digest == reverted.newest("dev").digest
    assert "prod" not in held.serving
    assert held.jobs == reverted.jobs


def test_an_approval_deploys_and_is_written_on_the_package(world: World, held: Moment, approved: Moment) -> None:
    [run] = approved.runs
    assert run.conclusion == "success", run.told()
    assert "roc_auc" in run.summary
    version = approved.newest("prod")
    assert version.status == "Approved"
    assert "ines" in version.reason
    assert "fewer false alarms" in version.reason
    assert approved.serving == {"dev": version.digest, "prod": version.digest}
    assert approved.notes["predictions"] == world.expected_predictions(version, "prod")


def test_a_rejection_leaves_production_as_it_is(approved: Moment, rejected: Moment) -> None:
    main = rejected.run("main.yml")
    assert main.conclusion == "failure"
    assert main.jobs["deploy"].result == "skipped"
    assert main.jobs["reject"].result == "success", main.told()
    version = rejected.newest("prod")
    assert version.status == "Rejected"
    assert "tested on too little" in version.reason
    assert rejected.serving["prod"] == approved.serving["prod"]


def test_an_approval_in_the_registry_is_deployed_once(world: World, rejected: Moment, by_registry: Moment) -> None:
    assert [run.conclusion for run in by_registry.runs] == ["success", "success"], by_registry.told()
    version = by_registry.newest("prod")
    assert by_registry.serving["prod"] == version.digest != rejected.serving["prod"]
    assert by_registry.notes["predictions"] == world.expected_predictions(version, "prod")
    assert "nothing to do" in by_registry.runs[1].log


def test_a_rollback_serves_the_version_before_and_a_late_event_does_not_undo_it(
    world: World, approved: Moment, rolled_back: Moment
) -> None:
    assert rolled_back.run("rollback.yml").conclusion == "success", rolled_back.told()
    assert rolled_back.notes["before_event"] == approved.serving["prod"]
    assert rolled_back.serving["prod"] == approved.serving["prod"]
    assert rolled_back.newest("prod").status == "Rejected"
    late = rolled_back.run("approved.yml")
    assert late.conclusion == "failure", late.told()
    assert "goes back to version" in late.log
    assert rolled_back.notes["predictions"] == approved.notes["predictions"]


def test_main_takes_no_model_that_did_not_pass_dev(rolled_back: Moment, refused: Moment) -> None:
    [run] = refused.notes["hotfix"]
    assert run.conclusion == "failure"
    assert "merge main into dev first" in run.jobs["copy"].log, run.told()
    assert refused.groups["prod"] == rolled_back.groups["prod"]
    assert refused.serving == rolled_back.serving


def test_a_model_below_the_gate_is_not_registered_and_the_pull_request_says_so(
    rolled_back: Moment, refused: Moment
) -> None:
    [run] = [each for each in refused.notes["too simple"] if each.event.name == "push"]
    assert run.jobs["train/train"].result == "failure", run.told()
    assert refused.groups["feature"] == rolled_back.groups["feature"]
    [comment] = refused.notes["pull"].comments
    assert "Not registered" in comment["body"]


def test_failing_tests_train_nothing(refused: Moment) -> None:
    [run] = refused.notes["broken"]
    assert run.results["check"] == "failure"
    assert run.results["train"] == "skipped"
    assert "2 + 2 == 5" in run.log


def test_a_pull_request_from_a_fork_gets_no_credentials(rolled_back: Moment, refused: Moment) -> None:
    [run] = refused.notes["stranger"]
    assert run.conclusion == "success", run.told()
    assert {name for name, result in run.results.items() if result == "success"} == {"check", "check/check"}
    assert "acting as" not in run.log
    assert refused.notes["stranger_pull"].comments == []
    # The model below the gate is the only one that was trained.
    assert len(set(refused.jobs) - set(rolled_back.jobs)) == 2


def test_a_cancelled_run_stops_its_job_and_registers_nothing(world: World, refused: Moment, cancelled: Moment) -> None:
    [run] = cancelled.runs
    assert run.conclusion == "cancelled"
    job = world.client("sagemaker").describe_training_job(TrainingJobName=cancelled.notes["job"])
    assert job["TrainingJobStatus"] in ("Stopping", "Stopped"), run.told()
    assert cancelled.groups["feature"] == refused.groups["feature"]


def test_a_teardown_deletes_an_endpoint_when_its_name_is_given(cancelled: Moment, torn_down: Moment) -> None:
    assert torn_down.notes["slip"].conclusion == "failure", torn_down.told()
    assert torn_down.notes["after_slip"] == cancelled.serving["dev"]
    assert torn_down.notes["run"].conclusion == "success", torn_down.told()
    assert "dev" not in torn_down.serving
    assert torn_down.serving["prod"] == cancelled.serving["prod"]
    assert torn_down.groups == cancelled.groups
