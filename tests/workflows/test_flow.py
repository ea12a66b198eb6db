"""The life of a repository, pushed through its real workflows, held after each deed against the flow table.

Models are trained in the sandbox and jobs are executed by act; conftest.py has the deeds.
"""

import re

import pytest

from harness.expected import Expected
from harness.moments import Moment
from harness.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TO_DEV = "deploy-dev-champion"
DEV, PROD = "dev.yml deploy/deploy", "main.yml deploy/deploy"


def test_the_first_push_passes_its_tests_and_says_what_to_do(world: World, new: Moment, first_push: Moment) -> None:
    Expected(new).check(world, first_push)
    assert [run.conclusion for run in first_push.runs] == ["success"] * 3, first_push.told()
    assert {run.name.partition(" ")[0] for run in first_push.runs} >= {"main", "dev", "infra"}, first_push.told()
    assert {job.result for run in first_push.runs for job in run.jobs.values()} == {"success", "skipped"}
    assert all("nothing to do yet" in run.summary and "feature/" in run.summary for run in first_push.runs)
    # No role is taken on: there may be none yet.
    assert all("acting as" not in run.log for run in first_push.runs)
    assert first_push.jobs == []


def test_a_feature_push_trains_and_registers(world: World, first_push: Moment, feature: Moment) -> None:
    report = {"feature.yml train/train": (feature.newest("feature"),)}
    Expected(first_push, came={"feature": ("Approved",)}, reports=report, trains=True).check(world, feature)
    run = feature.run("feature.yml")
    assert run.conclusion == "success", run.told()
    [version] = feature.groups["feature"]
    assert version.metadata["commit"] == run.event.sha
    assert version.metadata["parameter.train.C"] == "0.5"
    assert len(feature.jobs) == 3
    assert all(f"| {name} |" in run.jobs["train/train"].summary for name in feature.jobs)
    assert ("feature", run.event.sha) not in world.github.deployments


def test_a_push_that_changes_nothing_of_the_model_trains_nothing(
    world: World, feature: Moment, unchanged: Moment
) -> None:
    assert unchanged.run("feature.yml").conclusion == "success", unchanged.told()
    place = "feature.yml train/train"
    report, said = {place: (feature.newest("feature"),)}, {place: ("Nothing was trained",)}
    Expected(feature, reports=report, says=said).check(world, unchanged)
    assert unchanged.jobs == feature.jobs


def test_a_pull_request_opened_later_gets_the_report_and_trains_nothing(
    world: World, unchanged: Moment, pull_request: Moment
) -> None:
    Expected(unchanged, reports={"feature.yml report": (unchanged.newest("feature"),)}).check(world, pull_request)
    assert pull_request.run("feature.yml").conclusion == "success", pull_request.told()
    [comment] = pull_request.notes["pull"].comments
    assert "roc_auc" in comment["body"]
    assert pull_request.jobs == unchanged.jobs


def test_a_squash_merge_serves_the_model_that_was_tested(
    world: World, feature: Moment, pull_request: Moment, squashed: Moment
) -> None:
    assert squashed.run("dev.yml").conclusion == "success", squashed.told()
    Expected(
        pull_request,
        came={"dev": ("Approved",)},
        serves={"dev": feature.newest("feature")},
        reports={DEV: (squashed.newest("dev"),)},
        says={DEV: ("dev: nothing else has served.",)},
    ).check(world, squashed)
    assert squashed.jobs == feature.jobs


def test_a_push_to_a_feature_is_held_against_what_serves_and_changes_none_of_it(
    world: World, squashed: Moment, two_features: Moment
) -> None:
    versions = [each for each in two_features.groups["feature"] if each not in squashed.groups["feature"]]
    assert {each.metadata["branch"] for each in versions} == {"feature/second", "fix/third"}, two_features.told()
    for version in versions:
        report = {"feature.yml train/train": (version, squashed.newest("dev"))}
        Expected(squashed, came={"feature": ("Approved",) * 2}, reports=report, trains=True).check(world, two_features)


def test_a_rebase_serves_the_model_that_was_tested(
    world: World, squashed: Moment, two_features: Moment, rebased: Moment
) -> None:
    tested = next(each for each in two_features.groups["feature"] if each.metadata["branch"] == "feature/second")
    assert rebased.run("dev.yml").conclusion == "success", rebased.told()
    Expected(
        two_features,
        came={"dev": ("Approved",)},
        serves={"dev": tested},
        reports={DEV: (rebased.newest("dev"), squashed.newest("dev"))},
    ).check(world, rebased)
    assert rebased.jobs == two_features.jobs


def test_a_tree_that_nobody_trained_is_trained_on_dev_and_registered_in_feature(
    world: World, rebased: Moment, merged: Moment
) -> None:
    Expected(
        rebased,
        came={"feature": ("Approved",), "dev": ("Approved",)},
        serves={"dev": merged.newest("feature")},
        reports={
            "dev.yml train/train": (merged.newest("feature"), rebased.newest("dev")),
            DEV: (merged.newest("dev"), rebased.newest("dev")),
        },
        trains=True,
    ).check(world, merged)
    assert merged.run("dev.yml").conclusion == "success", merged.told()
    known = {version.digest for version in rebased.groups["feature"]}
    together = merged.newest("feature")
    assert together.digest not in known
    assert together.metadata["parameter.train.C"] == "0.3"
    assert together.metadata["parameter.prepare.test_share"] == "0.25"


def test_a_revert_serves_the_model_before_and_trains_nothing(
    world: World, rebased: Moment, merged: Moment, reverted: Moment
) -> None:
    assert reverted.run("dev.yml").conclusion == "success", reverted.told()
    Expected(
        merged,
        came={"dev": ("Approved",)},
        serves={"dev": rebased.newest("dev")},
        reports={DEV: (reverted.newest("dev"), merged.newest("dev"))},
    ).check(world, reverted)


def test_an_older_run_that_is_made_again_brings_nothing(world: World, reverted: Moment, again: Moment) -> None:
    [run] = again.runs
    assert run.conclusion == "success", run.told()
    now = reverted.run("dev.yml").event.sha[:12]
    Expected(reverted, says={DEV: ("passed over", now)}).check(world, again)
    assert again.jobs == reverted.jobs


def test_a_run_that_overlaps_waits_until_the_other_one_has_deployed(
    world: World, reverted: Moment, again: Moment
) -> None:
    first, second = reverted.run("dev.yml"), again.run("dev.yml")
    assert [first.conclusion, second.conclusion] == ["success", "success"], again.told()
    told = [each for each in world.github.groups.told[TO_DEV] if each[1] in (first.id, second.id)]
    in_turn = [("enters", first.id), ("waits", second.id), ("leaves", first.id), ("enters", second.id)]
    assert told[: len(in_turn)] == in_turn


def test_an_approval_job_in_an_environment_without_rules_approves_nothing(
    world: World, again: Moment, without_rules: Moment
) -> None:
    report = {"main.yml copy": (without_rules.newest("prod"), without_rules.newest("dev"))}
    Expected(again, came={"prod": ("PendingManualApproval",)}, reports=report).check(world, without_rules)
    run = without_rules.run("main.yml")
    assert run.jobs["approve"].result == "failure", run.told()
    assert "nobody has approved" in run.jobs["approve"].log
    assert run.jobs["deploy"].result == "skipped"


def test_a_merge_to_main_waits_in_productions_group_and_holds_nothing_else(
    world: World, without_rules: Moment, held: Moment
) -> None:
    assert held.notes["waits_for"] == ["prod-approval"], held.told()
    Expected(
        without_rules,
        reports={"main.yml copy": (held.newest("prod"), held.newest("dev"))},
        says={"main.yml copy": ("waits for approval", "prod: nothing else has served.")},
    ).check(world, held)
    assert held.newest("prod").digest == held.newest("dev").digest


def test_a_deployment_that_has_no_quota_fails_and_its_approval_stays(
    world: World, held: Moment, no_quota: Moment
) -> None:
    run = no_quota.run("main.yml")
    assert run.jobs["approve"].result == "success", run.told()
    assert run.jobs["deploy/deploy"].result == "failure"
    assert "ResourceLimitExceeded" in run.jobs["deploy/deploy"].log
    Expected(held, became={"prod": "Approved"}).check(world, no_quota)


def test_the_failed_jobs_are_run_again_without_those_that_have_succeeded(no_quota: Moment, approved: Moment) -> None:
    first, again = no_quota.run("main.yml"), approved.run("main.yml")
    assert again.attempt == 2
    made = {name for name, job in again.jobs.items() if job is not first.jobs[name]}
    assert made == {"deploy", "deploy/deploy"}
    assert [each["user"]["login"] for attempt in again.attempts for each in attempt.gate.approvals] == ["ines"]


def test_an_approval_deploys_and_is_written_on_the_package(
    world: World, held: Moment, no_quota: Moment, approved: Moment
) -> None:
    [run] = approved.runs
    assert run.conclusion == "success", run.told()
    Expected(
        no_quota,
        serves={"prod": held.newest("dev")},
        reports={PROD: (approved.newest("prod"), held.newest("dev"))},
        says={PROD: ("approved", "ines", "fewer false alarms", "prod: nothing else has served.")},
    ).check(world, approved)
    version = approved.newest("prod")
    assert "ines" in version.reason
    assert "fewer false alarms" in version.reason


def test_what_was_taken_back_comes_again(world: World, merged: Moment, approved: Moment, back_in_dev: Moment) -> None:
    Expected(
        approved,
        came={"dev": ("Approved",)},
        serves={"dev": merged.newest("feature")},
        reports={DEV: (back_in_dev.newest("dev"), approved.newest("dev"))},
    ).check(world, back_in_dev)


def test_before_anybody_is_asked_the_summary_compares_with_what_serves(
    world: World, approved: Moment, back_in_dev: Moment, compared: Moment
) -> None:
    serves, asked = approved.newest("prod"), compared.newest("prod")
    Expected(
        back_in_dev,
        came={"prod": ("PendingManualApproval",)},
        reports={"main.yml copy": (asked, back_in_dev.newest("dev"), serves)},
        says={"main.yml copy": ("waits for approval", f"Against {serves.group} version {serves.number}")},
    ).check(world, compared)


def test_a_rejection_leaves_production_as_it_is(world: World, compared: Moment, rejected: Moment) -> None:
    Expected(compared, became={"prod": "Rejected"}).check(world, rejected)
    main = rejected.run("main.yml")
    assert main.conclusion == "failure"
    assert main.jobs["deploy"].result == "skipped"
    assert main.jobs["reject"].result == "success", main.told()
    assert "tested on too little" in rejected.newest("prod").reason


def test_an_approval_in_the_registry_is_deployed(
    world: World, approved: Moment, rejected: Moment, by_registry: Moment
) -> None:
    assert by_registry.run("approved.yml").conclusion == "success", by_registry.told()
    place = "approved.yml deploy/deploy"
    Expected(
        rejected,
        became={"prod": "Approved"},
        serves={"prod": rejected.newest("dev")},
        reports={place: (by_registry.newest("prod"), rejected.newest("dev"), approved.newest("prod"))},
    ).check(world, by_registry)


def test_the_event_of_it_once_more_deploys_nothing(world: World, by_registry: Moment, twice: Moment) -> None:
    run = twice.run("approved.yml")
    assert run.conclusion == "success", run.told()
    assert "nothing to do" in run.log
    report = {"approved.yml deploy/deploy": (twice.newest("prod"),)}
    Expected(by_registry, reports=report).check(world, twice)


def test_a_rollback_serves_the_version_before(
    world: World, approved: Moment, twice: Moment, rolled_back: Moment
) -> None:
    assert rolled_back.run("rollback.yml").conclusion == "success", rolled_back.told()
    Expected(
        twice,
        became={"prod": "Rejected"},
        serves={"prod": approved.newest("prod")},
        reports={"rollback.yml rollback": (rolled_back.newest("prod"), rolled_back.newest("dev"))},
        says={"rollback.yml rollback": ("rejected",)},
    ).check(world, rolled_back)


def test_a_late_event_does_not_undo_a_rollback(world: World, rolled_back: Moment, late: Moment) -> None:
    run = late.run("approved.yml")
    assert run.conclusion == "failure", run.told()
    assert "goes back to version" in run.log
    Expected(rolled_back).check(world, late)


def test_a_pull_request_whose_base_becomes_dev_is_checked_and_reported_and_an_edited_title_is_not(
    world: World, late: Moment, stacked: Moment
) -> None:
    serving = next(each for each in late.groups["feature"] if each.digest == late.serving["dev"])
    Expected(late, reports={"feature.yml report": (serving,)}).check(world, stacked)
    assert stacked.jobs == late.jobs
    assert stacked.notes["to_feature"] == []
    moved, named = stacked.runs
    assert moved.results["check/check"] == moved.results["report"] == "success", moved.told()
    assert set(named.results.values()) == {"skipped"}, named.told()
    [comment] = stacked.notes["comments"]
    assert f"{serving.group} version {serving.number}" in comment["body"]


def test_a_later_push_replaces_the_text_of_the_one_comment(world: World, stacked: Moment, refused: Moment) -> None:
    [before], [now] = stacked.notes["comments"], refused.notes["pull"].comments
    number, calls = refused.notes["pull"].number, world.github.api.calls
    assert now["id"] == before["id"]
    assert [
        each.status for each in calls if each.path.endswith(f"/issues/{number}/comments") and each.method == "POST"
    ] == [201]
    assert [each.method for each in calls if each.path.endswith(f"/issues/comments/{now['id']}")] == ["PATCH"]
    measured = [re.search(r"\| roc_auc \| ([\d.]+) ", each["body"]) for each in (before, now)]
    assert all(measured), now["body"]
    assert measured[0][1] != measured[1][1]


def test_main_takes_no_model_that_did_not_pass_dev(refused: Moment) -> None:
    [run] = refused.notes["hotfix"]
    assert run.conclusion == "failure"
    assert "merge main into dev first" in run.jobs["copy"].log, run.told()


def test_what_is_refused_changes_nothing(world: World, stacked: Moment, refused: Moment) -> None:
    # The model below the gate is trained, to be refused.
    Expected(stacked, trains=True).check(world, refused)


def test_a_model_below_the_gate_is_not_registered_and_the_pull_request_says_so(refused: Moment) -> None:
    [run] = [each for each in refused.notes["too simple"] if each.event.name == "push"]
    assert run.jobs["train/train"].result == "failure", run.told()
    [comment] = refused.notes["pull"].comments
    assert "Not registered" in comment["body"]
    # What a refused model took is paid for as well.
    for stage in ("prepare", "train", "evaluate"):
        assert re.search(rf"^\| \S+-{stage}-\w+-1 \|", comment["body"], re.MULTILINE), comment["body"]


def test_failing_tests_train_nothing(refused: Moment) -> None:
    [run] = refused.notes["broken"]
    assert run.results["check"] == "failure"
    assert run.results["train"] == "skipped"
    assert "2 + 2 == 5" in run.log


def test_a_pull_request_from_a_fork_gets_no_credentials(stacked: Moment, refused: Moment) -> None:
    [run] = refused.notes["stranger"]
    assert run.conclusion == "success", run.told()
    assert {name for name, result in run.results.items() if result == "success"} == {"check", "check/check"}
    assert "acting as" not in run.log
    assert refused.notes["stranger_pull"].comments == []
    # The model below the gate is the only one that was trained.
    assert len(set(refused.jobs) - set(stacked.jobs)) == 2


def test_a_cancelled_run_stops_its_job_and_registers_nothing(world: World, refused: Moment, cancelled: Moment) -> None:
    [run] = cancelled.runs
    assert run.conclusion == "cancelled"
    job = world.client("sagemaker").describe_training_job(TrainingJobName=cancelled.notes["job"])
    assert job["TrainingJobStatus"] in ("Stopping", "Stopped"), run.told()
    Expected(refused, trains=True).check(world, cancelled)


def test_a_teardown_with_a_slip_in_the_name_deletes_nothing(world: World, cancelled: Moment, slipped: Moment) -> None:
    run = slipped.run("teardown.yml")
    assert run.conclusion == "failure", run.told()
    assert f"{world.slug}-dev" in run.jobs["teardown"].log
    Expected(cancelled).check(world, slipped)


def test_a_teardown_deletes_an_endpoint_when_its_name_is_given(
    world: World, slipped: Moment, torn_down: Moment
) -> None:
    assert torn_down.run("teardown.yml").conclusion == "success", torn_down.told()
    Expected(slipped, serves={"dev": None}).check(world, torn_down)
