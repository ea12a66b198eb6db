"""Environments of GitHub: which there are, which branches may enter, whose review a job waits for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlops import rest
from mlops.errors import BadInput, Failure
from mlops.settings.project import Environment, Settings
from mlops.setup import made, terraform
from mlops.setup.plan import Deed, Step, Unavailable, deed
from mlops.setup.repository import Repository, quoted

APPROVAL = "MLOPS_APPROVAL"
"""The repository's variable that says at which door versions are approved: on GitHub when it is missing."""

REGISTRY = "registry"
"""Its value when GitHub asks nobody."""

MOST_REVIEWERS = 6


@dataclass(frozen=True)
class Reviewer:
    """Who may let a job pass: a person or a team, with GitHub's number of it."""

    type: Literal["User", "Team"]
    id: int
    name: str


@dataclass(frozen=True)
class Gate:
    """An environment as it should be.

    Args:
        name: as jobs name it.
        branches: those that may enter; every branch when empty.
        reviewed: whether a job waits for reviewers.
    """

    name: str
    branches: tuple[str, ...] = ()
    reviewed: bool = False


@dataclass(frozen=True)
class Rules:
    """The rules of an environment as they are."""

    branches: frozenset[str]
    every_branch: bool
    wait_timer: int
    prevent_self_review: bool
    reviewers: tuple[Reviewer, ...]


NO_RULES = Rules(frozenset(), every_branch=True, wait_timer=0, prevent_self_review=False, reviewers=())


def gates(settings: Settings) -> list[Gate]:
    """The environments that the project's roles trust: those of the infrastructure where it is the project's own.

    An environment that nobody made is made without any rule by the first job that names it; so all of them are here,
    also those in which nobody is asked.
    """
    found = []
    for environment in settings.environments:
        branches = branches_of(settings, environment)
        found.append(Gate(environment.name, branches))
        if settings.before(environment) is not None:
            reviewed = environment.approval == "manual"
            found += [Gate(name, branches, reviewed) for name in approval_gates(settings, environment)]
        if terraform.is_there(settings):
            found.append(Gate(applying_gate(environment), ("main",), reviewed=True))
    return found


def branches_of(settings: Settings, environment: Environment) -> tuple[str, ...]:
    """The branches whose jobs may enter an environment."""
    if settings.before(environment) is None:
        return ()  # whoever may push a branch may train it
    if settings.after(environment) is None:
        return ("main",)
    return ("dev", "main")  # main, since that is where schedules and dispatches run


def approval_gates(settings: Settings, environment: Environment) -> list[str]:
    """The environments in which versions for an environment's endpoints are approved."""
    challenger = [f"{environment.name}-challenger-approval"] if "challenger" in environment.groups else []
    return [f"{environment.name}-approval", *challenger]


def applying_gate(environment: Environment) -> str:
    """The environment in which a plan of an environment's infrastructure is approved, and applied."""
    return f"{environment.name}-infra"


def is_door(gate: Gate) -> bool:
    """Whether a version is approved there, so that the registry is the other way."""
    return gate.reviewed and gate.name.endswith("-approval")


def reviewers(repository: Repository, names: Sequence[str]) -> list[Reviewer]:
    """The people and teams of some names.

    Raises:
        BadInput: there are more than GitHub takes, or GitHub does not know one.
    """
    if len(set(names)) > MOST_REVIEWERS:
        raise BadInput(f"--reviewer is given {len(set(names))} times; GitHub takes {MOST_REVIEWERS}: name a team")
    return [reviewer(repository, name) for name in dict.fromkeys(names)]


def reviewer(repository: Repository, name: str) -> Reviewer:
    """A person, LOGIN, or a team, ORG/TEAM."""
    organisation, _, team = name.lstrip("@").rpartition("/")
    path = f"/orgs/{quoted(organisation)}/teams/{quoted(team)}" if organisation else f"/users/{quoted(team)}"
    found = repository.find(path)
    if found is None:
        what = f"team {team} in {organisation}" if organisation else f"user {team}"
        raise BadInput(f"--reviewer is {name!r}; GitHub shows no {what}: give LOGIN or ORG/TEAM")
    return Reviewer("Team" if organisation else "User", found["id"], name.lstrip("@"))


def rules(repository: Repository, name: str) -> Rules | None:
    """The rules of an environment; None when there is none of that name."""
    found = repository.find(f"environments/{quoted(name)}")
    if found is None:
        return None
    given = {rule["type"]: rule for rule in found.get("protection_rules") or []}
    every = not (found.get("deployment_branch_policy") or {}).get("custom_branch_policies")
    return Rules(
        branches=frozenset() if every else frozenset(policies(repository, name)),
        every_branch=every,
        wait_timer=given.get("wait_timer", {}).get("wait_timer", 0),
        prevent_self_review=given.get("required_reviewers", {}).get("prevent_self_review", False),
        reviewers=in_force(found),
    )


def in_force(found: dict[str, Any]) -> tuple[Reviewer, ...]:
    """The reviewers in an environment as GitHub shows it."""
    rules = [rule for rule in found.get("protection_rules") or [] if rule["type"] == "required_reviewers"]
    given = [(each["type"], each["reviewer"]) for rule in rules for each in rule["reviewers"]]
    return tuple(Reviewer(type, who["id"], str(who.get("login") or who.get("slug"))) for type, who in given)


def policies(repository: Repository, name: str) -> list[str]:
    """The patterns of branches that may enter an environment."""
    path = f"environments/{quoted(name)}/deployment-branch-policies"
    return [each["name"] for each in repository.listing(path, "branch_policies") if each.get("type") != "tag"]


def step(repository: Repository, gate: Gate, found: Rules | None, asked: Sequence[Reviewer] | None, own: bool) -> Step:
    """The step that makes an environment or changes it.

    Args:
        repository: that has it.
        gate: as it should be.
        found: as it is.
        asked: the reviewers; those who are there stay when None.
        own: whether the bootstrap has made it.
    """
    there = found or NO_RULES
    wanted = there.reviewers if asked is None else tuple(asked)
    right = (
        # Whoever lets fewer branches train has a reason.
        (not gate.branches or there.branches == frozenset(gate.branches))
        and {each.id for each in there.reviewers} == {each.id for each in wanted}
    )

    def act() -> str | None:
        return put(repository, gate, asked)

    return Step(f"environment {gate.name}", deed(found is not None, right, own), described(gate, wanted), act)


def described(gate: Gate, people: Sequence[Reviewer]) -> str:
    """An environment in a few words."""
    entry = f"branch {' and '.join(gate.branches)}" if gate.branches else "every branch"
    return f"{entry}; asks {', '.join(each.name for each in people) or 'nobody'}"


def put(repository: Repository, gate: Gate, asked: Sequence[Reviewer] | None) -> str | None:
    """Make an environment as it should be, and see that GitHub took it.

    Raises:
        Unavailable: the account's plan has no environments, or no rules for them, in a private repository.
        Failure: GitHub left a reviewer out.
    """
    path = f"environments/{quoted(gate.name)}"
    before = rules(repository, gate.name) or NO_RULES
    wanted = before.reviewers if asked is None else tuple(asked)
    said = None
    try:
        answer = accepted(repository, path, body(gate, before, wanted))
    except Unavailable as error:
        if not wanted:
            raise
        answer = accepted(repository, path, body(gate, replace(before, reviewers=()), ()))
        made.write(repository, APPROVAL, REGISTRY)
        instead = "it is approved in the registry" if is_door(gate) else "an administrator applies"
        said = f"GitHub can ask nobody here, so {instead} ({error})"
    missing = {each.id for each in wanted} - {each.id for each in in_force(answer)}
    if missing and said is None:
        names = ", ".join(each.name for each in wanted if each.id in missing)
        raise Failure(f"environment {gate.name}: GitHub leaves out {names}: give them read access, and run it again")
    set_branches(repository, gate)
    return said


def body(gate: Gate, before: Rules, wanted: Sequence[Reviewer]) -> dict[str, Any]:
    """What the request for an environment says: what is left out GitHub sets back, and only what is not so is said.

    On a plan that has branch policies and nothing else for a private repository, GitHub refuses a request that names a
    wait, reviewers or their rule at all, even with none. Source: `createNewEnvNoEnterprise` of
    github.com/google/go-github, github/repos_environments.go.
    """
    by_name = {"protected_branches": False, "custom_branch_policies": True}
    said: dict[str, Any] = {"deployment_branch_policy": None if before.every_branch and not gate.branches else by_name}
    if before.wait_timer:
        said["wait_timer"] = before.wait_timer
    if wanted or before.reviewers:
        said["reviewers"] = [{"type": each.type, "id": each.id} for each in wanted] or None
        said["prevent_self_review"] = before.prevent_self_review or more_than_one(wanted)
    return said


def accepted(repository: Repository, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """An environment as GitHub has taken it.

    Raises:
        Unavailable: the account does not pay for it.
    """
    try:
        return dict(repository.ask("PUT", path, body))
    except rest.Refused as error:
        # Of environments that a plan has not at all GitHub says that there is nothing.
        hidden = error.status == 404 and (repository.find("") or {}).get("private")
        if hidden or is_of_plan(error):
            raise Unavailable(f"{error}. Make the repository public, or take a plan that has it") from error
        raise


def more_than_one(people: Sequence[Reviewer]) -> bool:
    """Whether somebody is left to ask when one of them has started the run."""
    return len(people) > 1 or any(each.type == "Team" for each in people)


def is_of_plan(error: rest.Refused) -> bool:
    """Whether GitHub refuses what the account does not pay for."""
    return error.status in (403, 422) and any(word in str(error).lower() for word in ("billing plan", "upgrade"))


def set_branches(repository: Repository, gate: Gate) -> None:
    """Let the gate's branches in, and no others."""
    if not gate.branches:
        return
    path = f"environments/{quoted(gate.name)}/deployment-branch-policies"
    there = {each["name"]: each["id"] for each in repository.listing(path, "branch_policies")}
    for branch in gate.branches:
        if branch not in there:
            repository.ask("POST", path, {"name": branch, "type": "branch"})
    for branch, number in there.items():
        if branch not in gate.branches:
            repository.ask("DELETE", f"{path}/{number}")


def door(repository: Repository, names: Sequence[str], asked: bool, now: str | None, own: bool) -> Step:
    """The step that tells the workflows where versions are approved: after the environments, by what GitHub has taken.

    Args:
        repository: whose variable tells it.
        names: the environments that ask somebody.
        asked: whether all of them will.
        now: the variable's value when the plan was made; None when there was none.
        own: whether the bootstrap has made the variable.
    """
    right = (now == REGISTRY) != asked

    def act() -> str:
        again = [rules(repository, name) or NO_RULES for name in names]
        if all(each.reviewers for each in again):
            made.remove(repository, APPROVAL)
            return "on GitHub"
        made.write(repository, APPROVAL, REGISTRY)
        return "in the registry"

    what: Deed = "keep" if right else deed(now is not None, False, own)
    detail = f"versions are approved {'on GitHub' if asked else 'in the registry'}"
    return Step(f"variable {APPROVAL}", what, detail, act)
