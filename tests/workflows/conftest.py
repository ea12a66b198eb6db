"""What the workflow tests share: small repositories on GitHub, and the one world with the deeds done in it.

The deeds are fixtures, each done once and in this order, since each begins where the one before has ended.
"""

import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import Environment, GitHub, Origin, Repository
from harness.moments import Moment
from harness.origin import git
from harness.tokens import JobToken
from harness.world import World, bake

TEMPLATE = Path(__file__).parents[2]
REPOSITORY = Repository("example", 101, "churn", 202)
Open = Callable[..., GitHub]
Edit = Callable[[str], str]
TO_DEV = "deploy-dev-champion"
"""The concurrency group in which dev's endpoint is changed."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens a repository with the workflows, actions and other files that a test writes."""
    made: list[GitHub] = []

    def open_repository(files: dict[str, str], **rules: Environment) -> GitHub:
        source = tmp_path / "source"
        source.mkdir()
        git(source, "init", "-q", "-b", "main")
        for path, text in files.items():
            file = source / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
        git(source, "add", "-A")
        git(source, "commit", "-q", "-m", "Start")
        git(source, "branch", "dev")
        environments = {name.replace("_", "-"): rule for name, rule in rules.items()}
        github = GitHub(tmp_path / "github", REPOSITORY, Origin(tmp_path, source), environments)
        made.append(github)
        return github

    yield open_repository
    for github in made:
        github.stop()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A baked project with its sandbox and its GitHub, on which nothing has happened yet."""
    folder = tmp_path_factory.mktemp("world")
    rules = {
        "dev": Environment(branches=("dev", "main")),
        "prod": Environment(branches=("main",)),
        "prod-approval": Environment(reviewers=("ines",), branches=("main",), prevent_self_review=True),
    }
    opened = World(folder, bake(TEMPLATE, folder), rules)
    yield opened
    opened.stop()


def penalty(value: float) -> Edit:
    """An edit of params.yaml that makes another model, and nothing else."""
    return lambda text: "\n".join(
        f"  C: {value}" if line.strip().startswith("C:") else line for line in text.splitlines()
    ) + "\n"  # fmt: skip


def fewer_for_the_test(text: str) -> str:
    """An edit of params.yaml in another place."""
    return text.replace("test_share: 0.3", "test_share: 0.25")


def an_hour(text: str) -> str:
    """An edit of train.py after which it takes an hour."""
    start = 'if __name__ == "__main__":'
    return text.replace(start, f'__import__("time").sleep(3600)\n\n{start}')


def merge(world: World, source: str, into: str, how: str) -> Moment:
    """Merge a branch by a button, without the pull request's own runs."""
    since, before = time.monotonic(), world.github.origin.head(into)
    world.github.origin.merge(source, into, how)  # type: ignore[arg-type]
    return world.moment(world.github.pushed(into, before), since)


@pytest.fixture(scope="session")
def new(world: World) -> Moment:
    """Nothing has been pushed yet."""
    return world.moment([], time.monotonic())


@pytest.fixture(scope="session")
def first_push(world: World, new: Moment) -> Moment:
    """main and dev come to GitHub; their check runs every test that is not slow."""
    since = time.monotonic()
    with world.all_tests():
        runs = world.github.pushed("main")
    return world.moment([*runs, *world.github.pushed("dev")], since)


@pytest.fixture(scope="session")
def feature(world: World, first_push: Moment) -> Moment:
    """The first model: a branch with a changed parameter."""
    since = time.monotonic()
    runs = world.github.commit("feature/first", {"params.yaml": penalty(0.5)}, start="dev")
    return world.moment(runs, since)


@pytest.fixture(scope="session")
def unchanged(world: World, feature: Moment) -> Moment:
    """A second push to the branch that changes nothing of the model."""
    since = time.monotonic()
    return world.moment(world.github.commit("feature/first", {"NOTES.md": "Why this penalty.\n"}), since)


@pytest.fixture(scope="session")
def pull_request(world: World, unchanged: Moment) -> Moment:
    """The pull request, opened after the pushes."""
    since = time.monotonic()
    pull, runs = world.github.open_pull_request("feature/first")
    return world.moment(runs, since, pull=pull)


@pytest.fixture(scope="session")
def squashed(world: World, pull_request: Moment) -> Moment:
    """It is merged by squash."""
    since = time.monotonic()
    return world.moment(world.github.merge(pull_request.notes["pull"], "squash"), since)


@pytest.fixture(scope="session")
def two_features(world: World, squashed: Moment) -> Moment:
    """Two branches begin at the same commit."""
    since = time.monotonic()
    with world.github.together():
        runs = world.github.commit("feature/second", {"params.yaml": penalty(0.3)}, start="dev")
        runs += world.github.commit("fix/third", {"params.yaml": fewer_for_the_test}, start="dev")
    return world.moment(runs, since)


@pytest.fixture(scope="session")
def rebased(world: World, two_features: Moment) -> Moment:
    """The first of the two is merged by rebase."""
    return merge(world, "feature/second", "dev", "rebase")


@pytest.fixture(scope="session")
def merged(world: World, rebased: Moment) -> Moment:
    """The second of the two is merged: nobody has trained a tree with both."""
    return merge(world, "fix/third", "dev", "merge")


@pytest.fixture(scope="session")
def reverted(world: World, merged: Moment) -> Moment:
    """The second of the two is taken back; while that is deployed, the run of its merge is made again."""
    since, github, before = time.monotonic(), world.github, world.github.origin.head("dev")
    github.origin.revert("dev", before)
    with github.together():
        [run] = github.pushed("dev", before)
        github.groups.wait_until(TO_DEV, "enters", run)
        older = github.rerun(merged.run("dev.yml"))

        def until_followed(path: str, token: JobToken | None) -> None:
            if token and token.run == run.id and path.endswith("/pulls"):
                github.groups.wait_until(TO_DEV, "waits", older)

        # The older run comes while this one is at it, however fast either is here.
        github.api.before = until_followed
    github.api.before = lambda path, token: None
    return world.moment([run], since, older=older)


@pytest.fixture(scope="session")
def again(world: World, reverted: Moment) -> Moment:
    """The run that was made again comes after it."""
    return world.moment([reverted.notes["older"]], time.monotonic())


@pytest.fixture(scope="session")
def without_rules(world: World, again: Moment) -> Moment:
    """dev is merged to main, while prod-approval has no reviewers."""
    rules = world.github.environments.pop("prod-approval")
    try:
        return merge(world, "dev", "main", "merge")
    finally:
        world.github.environments["prod-approval"] = rules


@pytest.fixture(scope="session")
def held(world: World, without_rules: Moment) -> Moment:
    """The same model comes to main again, where it now needs a review."""
    since = time.monotonic()
    [run] = world.github.commit("main", {"NOTES.md": "Reviewed from now on.\n"})
    return world.moment([run], since, waits_for=run.gate.held())


@pytest.fixture(scope="session")
def no_quota(world: World, held: Moment) -> Moment:
    """A reviewer approves, and the account may have no endpoint."""
    since, run = time.monotonic(), held.run("main.yml")
    with world.refusing("CreateEndpoint", "ResourceLimitExceeded"):
        world.github.approve(run, "prod-approval", by="ines", comment="fewer false alarms")
    return world.moment([run], since)


@pytest.fixture(scope="session")
def approved(world: World, no_quota: Moment) -> Moment:
    """It may now, and what has failed is run again."""
    since = time.monotonic()
    return world.moment([world.github.rerun_failed(no_quota.run("main.yml"))], since)


@pytest.fixture(scope="session")
def back_in_dev(world: World, approved: Moment) -> Moment:
    """What was taken back comes to dev again: both features together."""
    since, before = time.monotonic(), world.github.origin.head("dev")
    world.github.origin.revert("dev", before)
    return world.moment(world.github.pushed("dev", before), since)


@pytest.fixture(scope="session")
def compared(world: World, back_in_dev: Moment) -> Moment:
    """They come to main, where another model serves, and wait."""
    return merge(world, "dev", "main", "merge")


@pytest.fixture(scope="session")
def rejected(world: World, compared: Moment) -> Moment:
    """A reviewer rejects them."""
    since, run = time.monotonic(), compared.run("main.yml")
    world.github.reject(run, "prod-approval", by="ines", comment="tested on too little")
    return world.moment([run], since)


@pytest.fixture(scope="session")
def by_registry(world: World, rejected: Moment) -> Moment:
    """Somebody approves that version in the registry after all."""
    since, version = time.monotonic(), rejected.newest("prod")
    world.client("sagemaker", "prod").update_model_package(
        ModelPackageArn=version.arn, ModelApprovalStatus="Approved", ApprovalDescription="in Studio"
    )
    run = world.github.dispatch("approved.yml", {"environment": "prod", "package": version.arn})
    return world.moment([run], since)


@pytest.fixture(scope="session")
def twice(world: World, by_registry: Moment) -> Moment:
    """The event of that comes once more."""
    since, inputs = time.monotonic(), {"environment": "prod", "package": by_registry.newest("prod").arn}
    return world.moment([world.github.dispatch("approved.yml", inputs)], since)


@pytest.fixture(scope="session")
def rolled_back(world: World, twice: Moment) -> Moment:
    """Production goes back."""
    since = time.monotonic()
    return world.moment([world.github.dispatch("rollback.yml", {"environment": "prod"})], since)


@pytest.fixture(scope="session")
def late(world: World, rolled_back: Moment) -> Moment:
    """The event of the approval comes a third time."""
    since, inputs = time.monotonic(), {"environment": "prod", "package": rolled_back.newest("prod").arn}
    return world.moment([world.github.dispatch("approved.yml", inputs)], since)


@pytest.fixture(scope="session")
def stacked(world: World, late: Moment) -> Moment:
    """A pull request to another feature's branch, whose base is then changed to dev, and its title as well."""
    since, github = time.monotonic(), world.github
    github.origin.reset("feature/below", "dev")
    github.origin.commit("feature/too-simple", {"WHY.md": "Simple is good.\n"}, "begin", start="dev")
    pull, to_feature = github.open_pull_request("feature/too-simple", into="feature/below")
    moved = github.edit(pull, base="dev")
    named = github.edit(pull, title="Simple is good")
    comments = [dict(each) for each in pull.comments]
    return world.moment([*moved, *named], since, pull=pull, to_feature=to_feature, named=named, comments=comments)


@pytest.fixture(scope="session")
def refused(world: World, stacked: Moment) -> Moment:
    """Four pushes that bring no model anywhere, at the same time."""
    since, github, pull = time.monotonic(), world.github, stacked.notes["pull"]
    broken = "def test_two_and_two():\n    assert 2 + 2 == 5\n"
    github.origin.commit("feature/stranger", {"params.yaml": penalty(0.8)}, "mine is better", start="dev")
    with github.together():
        runs = {
            "hotfix": github.commit("main", {"params.yaml": penalty(0.7)}),
            "too simple": github.commit("feature/too-simple", {"params.yaml": penalty(0.00001)}),
            "broken": github.commit("feature/broken", {"tests/few/test_few.py": broken}, start="dev"),
        }
        stranger, runs["stranger"] = github.open_pull_request("feature/stranger", fork="stranger")
    everything = [run for each in runs.values() for run in each]
    return world.moment(everything, since, pull=pull, stranger_pull=stranger, **runs)


@pytest.fixture(scope="session")
def cancelled(world: World, refused: Moment) -> Moment:
    """A training that would take an hour, cancelled while it goes on."""
    since, github = time.monotonic(), world.github
    edits: dict[str, str | Edit] = {f"src/{world.settings['package']}/train.py": an_hour}
    with github.together():
        [run] = github.commit("feature/slow", edits, start="dev")
        job = world.wait_for_job("InProgress")
        github.cancel(run)
    return world.moment([run], since, job=job)


@pytest.fixture(scope="session")
def slipped(world: World, cancelled: Moment) -> Moment:
    """Somebody tears dev's endpoint down, with a slip in its name."""
    since, inputs = time.monotonic(), {"environment": "dev", "confirm": "dev"}
    return world.moment([world.github.dispatch("teardown.yml", inputs)], since)


@pytest.fixture(scope="session")
def torn_down(world: World, slipped: Moment) -> Moment:
    """And with the name."""
    since, inputs = time.monotonic(), {"environment": "dev", "confirm": f"{world.slug}-dev"}
    return world.moment([world.github.dispatch("teardown.yml", inputs)], since)
