"""New data is proposed by one pull request, however often it is looked for and wherever a run breaks off."""

import base64

import pytest

from mlops.errors import BadInput, Failure
from mlops.retraining import incoming, proposal
from mlops.retraining.incoming import Arrival

COMMIT = "c" * 40
POINTER = "outs:\n- md5: bbbb.dir\n"
DATA = [Arrival("data/raw", ("june.csv", "a|b`c.csv"), "a" * 32, "b" * 32, POINTER)]
BRANCH = "retrain/bbbbbbbbbbbb"
REPOSITORY = "/repos/team/churn"
HEAD = ("GET", f"{REPOSITORY}/git/ref/heads/{BRANCH}")
FILE = f"{REPOSITORY}/contents/data/raw.dvc"
STARTED = ("POST", f"{REPOSITORY}/actions/workflows/feature.yml/dispatches")
OPENED = ("POST", f"{REPOSITORY}/pulls")


@pytest.fixture
def writable(github):
    """GitHub with a repository in which nothing is proposed."""
    github.answers |= {
        ("GET", f"{REPOSITORY}/pulls"): [],
        ("POST", f"{REPOSITORY}/git/refs"): {},
        ("GET", FILE): {"sha": "old", "content": base64.encodebytes(b"old").decode()},
        ("PUT", FILE): {},
        STARTED: {},
        OPENED: {"html_url": "https://github.com/pull/9"},
    }
    return github


def done(github) -> list[tuple[str, str]]:
    """What was changed, in order."""
    return [(method, path) for method, path, _ in github.asked if method != "GET"]


@pytest.fixture
def propose(project, administrator, monkeypatch):
    """Proposes the same data in an environment whose bucket remembers nothing yet."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox-111111111111")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    feature = project.environment("feature")
    yield lambda: proposal.propose(project, feature, DATA, COMMIT, "drift <b> @all", lambda line: None)
    administrator(feature, "s3").delete_object(Bucket=feature.bucket, Key="proposed/bbbbbbbbbbbb")


def test_new_data_is_a_branch_a_training_and_a_pull_request(writable, propose):
    found = propose()

    assert (found.branch, found.address, found.new) == (BRANCH, "https://github.com/pull/9", True)
    assert done(writable) == [("POST", f"{REPOSITORY}/git/refs"), ("PUT", FILE), STARTED, OPENED]
    bodies = [body for method, _, body in writable.asked if method != "GET"]
    assert bodies[0] == {"ref": f"refs/heads/{BRANCH}", "sha": COMMIT}
    assert base64.b64decode(bodies[1]["content"]).decode() == POINTER
    assert (bodies[1]["branch"], bodies[1]["sha"]) == (BRANCH, "old")
    assert bodies[2] == {"ref": BRANCH, "inputs": {}}
    assert (bodies[3]["head"], bodies[3]["base"]) == (BRANCH, "dev")
    assert "drift &lt;b> @\u200ball" in bodies[3]["body"]
    assert "`a\\|b'c.csv`" in bodies[3]["body"]


def test_a_run_that_broke_off_is_carried_on_where_it_was(writable, propose):
    del writable.answers[OPENED]
    with pytest.raises(Failure, match="404"):
        propose()
    writable.answers[HEAD] = {"object": {"sha": "d" * 40}}
    writable.answers["GET", FILE] = {"sha": "new", "content": base64.encodebytes(POINTER.encode()).decode()}
    writable.answers[OPENED] = {"html_url": "https://github.com/pull/9"}
    writable.asked.clear()

    assert propose().new
    assert done(writable) == [STARTED, OPENED]


@pytest.mark.parametrize("state", ["open", "closed"])
def test_what_people_have_seen_is_not_proposed_again(writable, propose, state):
    pull = {"number": 9, "state": state, "head": {"ref": BRANCH}, "html_url": "https://github.com/pull/9"}
    writable.answers["GET", f"{REPOSITORY}/pulls"] = [pull]

    assert propose() == proposal.Proposal(BRANCH, "https://github.com/pull/9", new=False)
    assert done(writable) == []


@pytest.mark.parametrize("name", ["../june.csv", "a//b.csv", "a/./b.csv", "/june.csv"])
def test_an_object_whose_key_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match="no path below raw"):
        incoming.place(tmp_path / "raw", name)


@pytest.fixture
def forbidden(writable, monkeypatch):
    """GitHub as a new repository is: no workflow may open a pull request."""
    whole = proposal.github.call

    def refused(method, path, body=None):
        if (method, path) == OPENED:
            raise proposal.rest.Refused("GitHub Actions is not permitted to create or approve pull requests", 403)
        return whole(method, path, body)

    monkeypatch.setattr(proposal.github, "call", refused)
    return writable


PAGE = f"https://github.com/team/churn/compare/dev...{BRANCH}?expand=1"


def test_where_no_workflow_may_open_pull_requests_a_person_is_told_where_to_and_by_which_setting(
    forbidden, propose, project
):
    found = propose()

    assert not found.opened
    assert found.address == PAGE
    assert done(forbidden)[-1] == STARTED
    said = proposal.told(project, found, "drift")
    assert PAGE in said
    assert "Actions, General, `Allow GitHub Actions to create and approve pull requests`" in said


@pytest.mark.parametrize("gone", [False, True], ids=["waits", "its branch was deleted"])
def test_what_no_workflow_may_open_is_proposed_once_too(forbidden, propose, project, gone):
    propose()
    if not gone:
        forbidden.answers[HEAD] = {"object": {"sha": "d" * 40}}
    forbidden.asked.clear()

    found = propose()

    assert done(forbidden) == []
    assert (found.new, found.address) == (False, "" if gone else PAGE)
    said = proposal.told(project, found, "the schedule")
    assert "Nothing is trained" in said
    assert (f"delete s3://{project.environment('feature').bucket}/proposed/bbbbbbbbbbbb" in said) is gone
