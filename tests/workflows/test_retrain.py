"""Training on the current data: new files are proposed once and go the way of any other change; or nothing is done."""

import time

import pytest

from harness.expected import Expected
from harness.moments import Moment
from harness.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MONDAY = "23 4 * * 1"


@pytest.fixture(scope="module")
def start(world: World, feature: Moment) -> Moment:
    """How things stand before."""
    return world.moment([], time.monotonic())


@pytest.fixture(scope="module")
def no_news(world: World, start: Moment) -> Moment:
    """The schedule comes, and no file has."""
    since = time.monotonic()
    return world.moment(world.github.tick(MONDAY), since)


@pytest.fixture(scope="module")
def proposed(world: World, no_news: Moment) -> Moment:
    """Cases come in, and an alarm starts the workflow."""
    since = time.monotonic()
    new = world.project / "data" / "raw" / "wisconsin.csv"
    header, *rows = new.read_text(encoding="utf-8").splitlines()
    # The same measurements to the last digit would be the same case once more.
    moved = [",".join([str(float(row.split(",")[0]) + 0.001), *row.split(",")[1:]]) for row in rows[:40]]
    world.client("s3", "feature").put_object(
        Bucket=world.bucket("feature"), Key="incoming/data/raw/june.csv", Body="\n".join([header, *moved, ""]).encode()
    )
    run = world.github.dispatch("retrain.yml", {"reason": "alarm churn-dev-drift"})
    [trained] = world.github.after(run)
    [pull] = [each for each in world.github.pulls.values() if each.head.startswith("retrain/")]
    return world.moment([run, trained], since, run=run, trained=trained, pull=pull)


def test_on_unchanged_data_it_says_so_and_ends(world: World, start: Moment, no_news: Moment) -> None:
    Expected(start).check(world, no_news)
    run = no_news.run("retrain.yml")
    assert run.conclusion == "success", run.told()
    assert "data unchanged" in run.summary
    assert "Nothing has come in" in run.summary
    assert world.github.after(run) == []


def test_new_data_is_a_pull_request_to_dev_of_its_pointer_and_nothing_else(
    world: World, no_news: Moment, proposed: Moment
) -> None:
    assert proposed.notes["run"].conclusion == "success", proposed.told()
    pull = proposed.notes["pull"]
    assert (pull.base, pull.state) == ("dev", "open")
    assert world.github.origin.changed("dev", pull.head) == ("data/raw.dvc",)
    assert "june.csv" in pull.body
    assert "alarm churn-dev-drift" in pull.body


def test_its_model_is_trained_on_the_new_data_registered_and_reported(
    world: World, no_news: Moment, proposed: Moment
) -> None:
    run, pull = proposed.notes["trained"], proposed.notes["pull"]
    assert run.conclusion == "success", proposed.told()
    report = {"feature.yml train/train": (proposed.newest("feature"),)}
    Expected(no_news, came={"feature": ("Approved",)}, reports=report, trains=True).check(world, proposed)
    assert (run.workflow, run.event.sha) == ("feature.yml", world.github.origin.head(pull.head))
    version = proposed.newest("feature")
    assert pull.head == f"retrain/{version.metadata['dataset'][:12]}"
    assert version.metadata["branch"] == pull.head
    [comment] = pull.comments
    assert "roc_auc" in comment["body"]
    listed = world.client("s3", "feature").list_objects_v2(
        Bucket=world.bucket("feature"), Prefix=f"data/{version.metadata['dataset']}/"
    )
    assert [each["Key"].rpartition("/")[2] for each in listed["Contents"]] == ["june.csv", "wisconsin.csv"]
