"""The side of GitHub: what the project needs there, what of it is in order, what it owns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlops import rest
from mlops.errors import BadInput
from mlops.settings.project import Settings
from mlops.setup import actions, environments, health, made, manifest, pins, repository, rulesets
from mlops.setup.environments import Gate, Reviewer, Rules
from mlops.setup.health import Check
from mlops.setup.plan import Step
from mlops.setup.removal import Belonging
from mlops.setup.repository import Repository, quoted

COMMAND = "mlops bootstrap github"


@dataclass(frozen=True)
class Wishes:
    """What a person chooses for GitHub.

    Args:
        reviewers: who approves, LOGIN or ORG/TEAM; those who are there stay when none are given.
        registry: nobody is asked on GitHub, versions are approved in the registry.
        public: a new repository is public.
        approvals: reviews that a pull request needs; as many as now when None.
        adopt: what is there and somebody else's is taken over.
    """

    reviewers: tuple[str, ...] = ()
    registry: bool = False
    public: bool = False
    approvals: int | None = None
    adopt: bool = False


@dataclass(frozen=True)
class Found:
    """What is on GitHub before anything is done."""

    repository: dict[str, Any] | None
    made: frozenset[str]
    rules: dict[str, Rules]
    rulesets: dict[str, int]
    approval: str | None

    def owns(self, thing: str) -> bool:
        """Whether the bootstrap has made a thing."""
        return thing in self.made


def look(place: Repository, gates: Sequence[Gate]) -> Found:
    """Read what is there."""
    there = place.find("")
    if there is None:
        return Found(None, frozenset(), {}, {}, None)
    rules = {gate.name: found for gate in gates if (found := environments.rules(place, gate.name)) is not None}
    return Found(there, made.things(place), rules, rulesets.listed(place), made.value(place, environments.APPROVAL))


def steps(settings: Settings, wishes: Wishes) -> list[Step]:
    """The plan: what `mlops bootstrap github` makes.

    Raises:
        BadInput: nobody is named who approves, or GitHub knows somebody not.
    """
    place = repository.of(settings)
    gates = environments.gates(settings)
    found = look(place, gates)
    people = asked(place, wishes, gates, found)
    return planned(settings, place, gates, found, people, wishes)


def asked(place: Repository, wishes: Wishes, gates: Sequence[Gate], found: Found) -> list[Reviewer] | None:
    """The reviewers that were named; None when those who are there stay.

    Raises:
        BadInput: there are none, and it was not said that this is meant.
    """
    if wishes.registry and wishes.reviewers:
        raise BadInput("--registry and --reviewer were given; GitHub asks somebody or nobody: leave one out")
    if wishes.registry:
        return []
    if wishes.reviewers:
        return environments.reviewers(place, wishes.reviewers)
    nobody = [gate.name for gate in gates if gate.reviewed and not has_reviewers(found, gate)]
    if nobody and found.approval != environments.REGISTRY:
        raise BadInput(
            f"--reviewer is missing: GitHub has to ask somebody in {' and '.join(nobody)}, before production; "
            "give LOGIN or ORG/TEAM, or --registry to approve in the registry"
        )
    return None


def has_reviewers(found: Found, gate: Gate) -> bool:
    """Whether an environment asks somebody now."""
    return bool(found.rules.get(gate.name, environments.NO_RULES).reviewers)


def planned(
    settings: Settings,
    place: Repository,
    gates: Sequence[Gate],
    found: Found,
    people: Sequence[Reviewer] | None,
    wishes: Wishes,
) -> list[Step]:
    """The steps, in the order in which they have to be done."""
    own = wishes.adopt or (found.repository is not None and repository.is_own(found.repository, found.made))

    def owns(thing: str) -> bool:
        return wishes.adopt or thing in found.made

    doors = [
        environments.step(
            place, gate, found.rules.get(gate.name), people if gate.reviewed else None, owns(f"environment {gate.name}")
        )
        for gate in gates
    ]
    # Those of the infrastructure too: by the same variable its job knows that nobody would be asked.
    reviewed = [gate for gate in gates if gate.reviewed]
    ask = all(has_reviewers(found, gate) for gate in reviewed) if people is None else bool(people)
    variable = f"variable {environments.APPROVAL}"
    door = environments.door(place, [gate.name for gate in reviewed], ask, found.approval, owns(variable))
    given = rulesets.checks_given(settings.root)
    rules = [
        rulesets.step(place, given, branch, wishes.approvals, found.rulesets, owns(f"rules of {branch}"))
        for branch in repository.BRANCHES
    ]
    first = repository.making(settings, place, found.repository, wishes.public)
    new = [each.what for each in [*doors, *rules] if wishes.adopt or each.deed == "make"]
    if found.approval is None or wishes.adopt:
        new.append(variable)
    if first.deed == "make" or (found.repository is not None and repository.is_own(found.repository, found.made)):
        new.append("repository")
    return [
        first,
        made.remembering(place, found.made, new),
        *actions.steps(place, found.repository is not None, own),
        *doors,
        door,
        *repository.pushes(settings, place, found.repository),
        repository.default_branch(place, found.repository, own),
        *rules,
        repository.origin(settings, place),
    ]


def checks(settings: Settings, online: bool) -> list[Check]:
    """What `mlops doctor` says of GitHub.

    Args:
        settings: the project.
        online: whether newer versions of the actions are looked for.
    """
    if settings.aws == "sandbox" and not repository.has_token():
        why = "no token: give GH_TOKEN, or log in with `gh auth login`; on the sandbox GitHub is not needed yet"
        return [Check("GitHub", passed=False, found=why, skipped=True)]
    try:
        place = repository.of(settings)
        gates = environments.gates(settings)
        found = look(place, gates)
    except (BadInput, rest.Refused) as error:
        return [Check("GitHub", False, str(error), mending(error))]
    if found.repository is None:
        return [Check(f"repository {place.full_name}", False, "GitHub shows none of that name", COMMAND)]
    try:
        examined = health.of_steps(planned(settings, place, gates, found, None, Wishes()), COMMAND)
    except BadInput as error:
        return [Check("the project's own files", False, str(error), "mend it, and run this again")]
    newer = pins.checks(settings.root, place) if online else []
    return [*examined, *newer]


def mending(error: Exception) -> str:
    """What mends that GitHub can not be asked; empty where the error says so itself."""
    return "" if isinstance(error, BadInput) else "give GH_TOKEN of an administrator of the repository"


def belongings(settings: Settings, with_repository: bool) -> list[Belonging]:
    """What the bootstrap has made on GitHub, for `mlops destroy`.

    Args:
        settings: the project.
        with_repository: the repository goes too, when the bootstrap has made it.
    """
    place = repository.of(settings)
    found = look(place, environments.gates(settings))
    if found.repository is None:
        return []
    whole = f"repository {place.full_name}"
    apps = [app_of(place, each.removeprefix(made.APP)) for each in sorted(found.made) if each.startswith(made.APP)]
    if with_repository and repository.is_own(found.repository, found.made):
        return [Belonging(f"{whole}, with all in it", remove=lambda: place.gone("")), *apps]
    why = "not made by the bootstrap: delete it by hand" if with_repository else "give --repository to remove it too"
    return [*removals(place, found), *apps, Belonging(whole, why)]


def removals(place: Repository, found: Found) -> list[Belonging]:
    """How each thing that the bootstrap has made goes, what it remembers of them last."""
    # Also of environments that mlops.yaml has lost since.
    remembered = [each.removeprefix("environment ") for each in found.made if each.startswith("environment ")]
    lost = [name for name in remembered if name not in found.rules and place.find(f"environments/{quoted(name)}")]
    paths = {f"environment {name}": f"environments/{quoted(name)}" for name in [*found.rules, *sorted(lost)]}
    for branch in repository.BRANCHES:
        if (number := found.rulesets.get(rulesets.name_of(branch))) is not None:
            paths[f"rules of {branch}"] = f"rulesets/{number}"
    if found.approval is not None:
        paths[f"variable {environments.APPROVAL}"] = f"actions/variables/{environments.APPROVAL}"
    things = [
        Belonging(what, remove=partial(place.gone, path))
        if what in found.made
        else Belonging(what, "not made by the bootstrap")
        for what, path in paths.items()
    ]
    memory = f"variable {made.VARIABLE}"
    if found.made:
        things.append(Belonging(memory, remove=lambda: made.remove(place, made.VARIABLE)))
    return things


def app_of(place: Repository, slug: str) -> Belonging:
    """An App, which stays until a person deletes it."""
    organisation = place.ask("GET", f"/users/{quoted(place.owner)}")["type"] == "Organization"
    page = manifest.last_page(place, slug, organisation)
    return Belonging(f"{made.APP}{slug}", f"GitHub lets only a person delete it: {page}")
