"""The team's own checks: each is run, what fails is named with its place, and nothing that they do ends the command."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlops.checks import contract, origin, owncheck, verification
from mlops.checks.owncheck import Endpoint
from mlops.errors import BadInput, Failure, NotApproved, NotFound, NotVerified
from mlops.hosting import deployment
from mlops.registry import packages
from mlops.settings import project as settings

BAD = '''"""Checks of many kinds."""

import json

def helper(answer):
    assert answer == "yes", "the answer is " + answer

def check_zulu(endpoint):
    assert endpoint.environment == "prod"

def check_with_a_helper(endpoint):
    helper("no")

def check_that_holds(endpoint):
    assert endpoint.name == "churn-dev"

def check_that_crashes(endpoint):
    return json.loads("{")

def check_that_leaves(endpoint):
    raise SystemExit(3)

def check_without_an_argument():
    pass
'''


def ran(tmp_path: Path, **files: str) -> list[owncheck.OwnCheck]:
    folder = tmp_path / "tests" / "endpoint"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    endpoint = Endpoint("churn-dev", "dev", folder.parent, None)  # type: ignore[arg-type]
    return [each for file in sorted(folder.glob("*.py")) for each in owncheck.of_file(file, endpoint, tmp_path)]


def test_every_check_is_run_in_order_and_what_fails_is_named_with_its_line(tmp_path: Path) -> None:
    found = [(each.name, each.file, each.problem) for each in ran(tmp_path, check_all=BAD)]

    file = "tests/endpoint/check_all.py"
    assert found[:5] == [
        ("check_zulu", f"{file}:9", 'assert endpoint.environment == "prod"'),
        ("check_with_a_helper", f"{file}:6", "the answer is no"),
        ("check_that_holds", f"{file}:14", ""),
        (
            "check_that_crashes",
            f"{file}:18",
            "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ("check_that_leaves", f"{file}:21", "SystemExit: 3"),
    ]
    assert found[5][0] == "check_without_an_argument"
    assert found[5][2].startswith("TypeError: check_without_an_argument() takes 0 positional arguments")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("import nothing_of_the_kind\n", ":1", "it can not be imported: ModuleNotFoundError"),
        ("x = 1\ndef check_(:\n", ":2", "it can not be imported: SyntaxError"),
        ("def test_something(endpoint):\n    pass\n", "", "it has no function check_...(endpoint)"),
        ("from json import loads as check_loads\n", "", "it has no function check_...(endpoint)"),
    ],
)
def test_a_file_without_a_check_that_runs_is_a_failure(tmp_path: Path, text: str, place: str, said: str) -> None:
    (found,) = ran(tmp_path, check_it=text)

    assert found.file == f"tests/endpoint/check_it.py{place}"
    assert found.problem.startswith(said)


@pytest.mark.parametrize(
    ("error", "problem"),
    [("Failure", None), ("NotFound", None), ("NotVerified", "NotVerified: no"), ("BadInput", "BadInput: no")],
)
def test_what_sagemaker_refuses_is_no_check_that_fails(tmp_path: Path, error: str, problem: str | None) -> None:
    text = f"from mlops import errors\n\ndef check_it(endpoint):\n    raise errors.{error}('no')\n"

    if problem is None:
        with pytest.raises(Failure, match=r"^no$"):
            ran(tmp_path, check_it=text)
    else:
        assert [each.problem for each in ran(tmp_path, check_it=text)] == [problem]


def test_an_endpoint_is_held_to_contract_own_checks_and_load(world: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    team = settings.load(root)
    folder = root / "tests" / "endpoint"
    folder.mkdir()
    (folder / "check_label.py").write_text(
        "def check_that_requests_of_the_contract_are_at_hand(endpoint):\n"
        "    (request, _) = endpoint.requests()\n"
        "    answer = endpoint.predict(request.body, request.content_type)\n"
        "    assert (answer.status, answer.json['label']) == (200, 'first')\n"
        "\n"
        "def check_that_a_refusal_is_an_answer(endpoint):\n"
        "    assert endpoint.predict('bad', 'text/csv').status == 400\n"
    )
    world.in_dev()
    deployment.deploy(team, world.dev, world.progress)

    found = verification.verify(team, world.dev, world.progress)

    assert str(found) == "churn-dev answers all 2 requests as agreed, passes 2 checks of its own"
    assert world.said[-2:] == ["✓ that requests of the contract are at hand", "✓ that a refusal is an answer"]

    (folder / "check_more.py").write_text("def check_it(endpoint):\n    assert endpoint.environment == 'prod'\n")
    with pytest.raises(
        Failure, match=r"churn-dev fails 1 of 3 checks of its own: check_it \(tests/endpoint/check_more"
    ):
        verification.verify(team, world.dev, world.progress)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: a, content_type: b, body: c}\n", "there is no version; this machinery reads version: 1"),
        ("version: 2\nrequests: []\n", "version is 2; this machinery reads version: 1"),
        ("requests: [{name: a, content_type: b, body: c}]\n", "version is None"),
        ("version: 1\n", "requests: a list of at least one request is needed"),
        ("version: 1\nrequests: []\n", "requests: a list of at least one request is needed"),
        ("version: 1\nrequests: [{name: a, content_type: b, body: c}]\nrequest: []\n", "request is not known"),
    ],
)
def test_a_contract_of_another_version_is_not_guessed_at(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "contract.yaml").write_text(text)

    with pytest.raises(BadInput, match=said):
        contract.read(tmp_path / "contract.yaml")


def test_what_fails_after_a_deployment_is_rejected_and_the_endpoint_goes_back_once(world: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    team = settings.load(root)
    folder = root / "tests" / "endpoint"
    folder.mkdir()
    (folder / "check_label.py").write_text(
        "def check_label(endpoint):\n    assert endpoint.predict('1,2', 'text/csv').json['label'] != 'second'\n"
    )
    world.committed(root, "first")
    deployment.deploy(team, world.dev, world.progress)
    verification.verify_or_go_back(team, world.dev, world.progress)
    second = world.committed(root, "second")
    deployment.deploy(team, world.dev, world.progress)

    with pytest.raises(NotVerified, match=r"check_label .*; rolled back to version 1; version 2 is now Rejected"):
        verification.verify_or_go_back(team, world.dev, world.progress)

    assert world.answer(world.dev) == "first"
    assert "check_label" in packages.describe(world.session(world.dev), second.arn).reason
    with pytest.raises(NotApproved, match="churn-dev version 2 is Rejected"):
        world.promote(second.fingerprint, world.prod)
    (folder / "check_label.py").write_text("def check_all(endpoint):\n    raise ValueError\n")
    with pytest.raises(NotVerified, match="version 1 is what a rollback has gone back to, and stays"):
        verification.verify_or_go_back(team, world.dev, world.progress)
    assert [each.status for each in packages.listing(world.session(world.dev), "churn-dev")] == ["Rejected", "Approved"]


def test_the_only_version_is_rejected_too_and_says_that_it_still_serves(world: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    (root / "tests" / "endpoint").mkdir()
    (root / "tests" / "endpoint" / "check_all.py").write_text("def check_all(endpoint):\n    raise ValueError\n")
    team = settings.load(root)
    world.committed(root, "first")
    deployment.deploy(team, world.dev, world.progress)

    with pytest.raises(
        NotVerified, match="version 1 is now Rejected, and still serves: there is no version to go back"
    ):
        verification.verify_or_go_back(team, world.dev, world.progress)


def test_what_another_commit_made_is_neither_rejected_nor_taken_back(world: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    (root / "tests" / "endpoint").mkdir()
    (root / "tests" / "endpoint" / "check_all.py").write_text("def check_all(endpoint):\n    raise ValueError\n")
    team = settings.load(root)
    world.in_dev("first")
    package = world.in_dev("second")
    deployment.deploy(team, world.dev, world.progress)

    with pytest.raises(NotVerified, match="version 2 serves, which can not be held against this checkout"):
        verification.verify_or_go_back(team, world.dev, world.progress)
    # The checkout goes on to a commit whose model is the newest, and does not serve.
    world.committed(root, "first")
    said = f"version 2 serves, which was made from another commit than this one .{package.commit[:12]}., so nothing was"
    with pytest.raises(NotVerified, match=f"check_all .*; {said} done about it"):
        verification.verify_or_go_back(team, world.dev, world.progress)
    adopted = replace(package, metadata={packages.ADOPTED_FROM: "churn-before"})
    assert origin.other(team, adopted) == "was adopted and made by no commit"

    statuses = [each.status for each in packages.listing(world.session(world.dev), "churn-dev")]
    assert (statuses, world.answer(world.dev)) == (["Approved"] * 3, "second")


@pytest.mark.slow
def test_what_serves_and_was_deleted_from_the_registry_is_named_and_nothing_is_done_about_it(
    world: Any, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    (root / "tests" / "endpoint").mkdir()
    (root / "tests" / "endpoint" / "check_all.py").write_text("def check_all(endpoint):\n    raise ValueError\n")
    team = settings.load(root)
    world.in_dev("first")
    package = world.in_dev("second")
    deployment.deploy(team, world.dev, world.progress)
    world.client(world.dev).delete_model_package(ModelPackageName=package.arn)

    with pytest.raises(NotVerified, match=r"check_all .*; what serves is in the registry no more") as told:
        verification.verify_or_go_back(team, world.dev, world.progress)

    assert "churn-dev has no version 2; it has 1" in str(told.value)
    assert str(told.value).endswith("mlops rollback --env dev goes back to the version before")
    assert world.answer(world.dev) == "second"


@pytest.mark.slow
def test_an_older_version_is_judged_by_the_contract_of_the_commit_that_brought_it(world: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    team, file = settings.load(root), root / "tests" / "endpoint" / "check_label.py"
    file.parent.mkdir()

    def promises(label: str) -> None:
        file.write_text(
            f"def check_label(endpoint):\n    assert endpoint.predict('1,2', 'text/csv').json['label'] == '{label}'\n"
        )

    def judged(of_version: bool) -> None:
        with verification.judge(team, world.dev, world.progress, of_version) as own:
            verification.verify_or_go_back(team, world.dev, world.progress, own)

    promises("first")
    first = world.committed(root, "first")
    deployment.deploy(team, world.dev, world.progress)
    promises("something else")
    second = world.committed(root, "second")

    judged(of_version=True)
    assert packages.VERIFIED in packages.describe(world.session(world.dev), first.arn).metadata
    said = f"commit {first.metadata['promoted_commit'][:12]} brought this version: its contract and checks are taken"
    assert said in world.said
    with pytest.raises(NotVerified, match="version 1 serves, which was made from another commit"):
        judged(of_version=False)

    deployment.deploy(team, world.dev, world.progress)
    promises("second")
    world.committed(root, "third")
    # What it promised itself it does not hold, whatever the newest commit says of it.
    with pytest.raises(NotVerified, match=r"check_label .*; rolled back to version 1; version 2 is now Rejected"):
        judged(of_version=True)
    assert "check_label" in packages.describe(world.session(world.dev), second.arn).reason


def test_a_commit_that_is_not_in_the_clone_leaves_this_folders_contract(world: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(world.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    team = settings.load(root)
    world.committed(root, "first")
    deployment.deploy(team, world.dev, world.progress)
    shutil.rmtree(root / ".git")
    world.committed(root, "second")

    with verification.judge(team, world.dev, world.progress, of_version=True) as own:
        assert own is None
    assert "is not in this clone: this folder's contract is taken" in world.said[-1]


def test_a_version_that_was_deleted_is_judged_by_this_folder(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def deleted(*_: Any) -> None:
        raise NotFound("churn-dev version 1: it is not there")

    monkeypatch.setattr(verification, "serving", deleted)

    with verification.judge(world.settings, world.dev, world.progress, of_version=True) as own:
        assert own is None
