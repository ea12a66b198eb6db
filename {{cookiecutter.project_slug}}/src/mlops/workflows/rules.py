"""Rules on workflows and actions that no public tool checks: `problems` names what breaks one, and where."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from mlops.workflows.documents import SELF, Document, Repository, every, every_step
from mlops.workflows.foreign import ACTIONS
from mlops.workflows.needs import COMMAND, CREDENTIALS, FIRST, NOTHING, READING_RUNS, needs_of, permissions_of

PIN = re.compile(r"uses:\s+(?P<action>[\w.-]+/[\w./-]+)@(?P<sha>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)$")
OWN_DUTY = {"teardown": "destroy", "infra plan": "plan", "infra apply": "apply",
            **{each: each for each in ("approve", "image", "monitor", "schedule")}}  # fmt: skip
"""Commands that have a duty to themselves."""

READY = "needs.check.outputs.ready == 'true'"
LONGEST_MINUTES = 240
"""The longest session that the roles allow: a job whose credentials end before it does can only fail."""

CHANGING = {"run", "register", "promote", "approve", "reject", "deploy", "rollback", "schedule", "teardown", "take-up",
            "retrain", "image", "infra apply"}  # fmt: skip
ROLE = {"role-to-assume", "aws-region", "role-duration-seconds"}
GROUPS = {"mlops run": {"pipeline", "jobs"}, "mlops retrain": {"pipeline"}, "ruff": {"quality"}, "mypy": {"quality"},
          "pytest": {"model", "pipeline", "jobs", "sandbox", "quality"}}  # fmt: skip
"""The dependency groups that a command needs, beside the machinery's own dependencies."""

WAITING = {"approve", "infra apply"}
"""Commands of jobs that wait for a person."""

WITH_TOKEN = {*READING_RUNS, "promote", "take-up", "retrain", "infra plan"}
GITHUBS = ("GITHUB_", "RUNNER_", "AWS_", "HOME", "PATH", "CI", "PWD", "USER")
"""How names of variables begin that are there without being given."""

SET = re.compile(r"\b([A-Z][A-Z_]*)=|\b(?:for|read)\s+(?:-\w+\s+)*([A-Z][A-Z_]*)\b")
TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "choice": str, "boolean": bool, "number": (int, float)}


def problems(repo: Repository, of: Collection[str] | None = None) -> Iterator[str]:
    """All that breaks a rule, in all files or in some."""
    chosen = repo.documents.keys() if of is None else of
    for path, document in repo.workflows.items():
        if path not in chosen:
            continue
        yield from (f"{path}: {problem}" for problem in of_workflow(repo, document))
        for name, job in document["jobs"].items():
            for rule in (rights, locks, places, gates, times, calls, orders):
                yield from (f"{path}: {name}: {problem}" for problem in rule(repo, document, name, job))
    for path, action in repo.actions.items():
        if path in chosen:
            yield from (f"{path}: {problem}" for problem in of_action(action))
    yield from references(repo, chosen)
    if of is None:
        yield from pins(repo)


def pins(repo: Repository) -> Iterator[str]:
    """Every foreign action is pinned to a full SHA, with its version beside it."""
    for path, text in repo.texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if not re.match(r"\s*(- )?uses:", line) or f"uses: {SELF}" in line:
                continue
            if PIN.search(line) is None:
                yield f"{path}:{number}: not pinned as OWNER/NAME@SHA # vX.Y.Z: {line.strip()}"


def references(repo: Repository, chosen: Collection[str]) -> Iterator[str]:
    """What a workflow uses of its own repository is there."""
    for path, document in repo.documents.items():
        if path not in chosen:
            continue
        for uses in every(document, "uses"):
            if uses.startswith(("./", SELF)) and repo.called(uses) is None:
                yield f"{path}: {uses} does not exist, or is not addressed by {SELF}"
        for step in every_step(document):
            name, _, sha = str(step.get("uses", "")).partition("@")
            # Another version may have another input.
            if (known := ACTIONS.get(name)) and known.sha == sha:
                for unknown in sorted(set(step.get("with") or {}).difference(known.inputs)):
                    yield f"{path}: {name} has no input {unknown}"


def of_workflow(repo: Repository, document: Document) -> Iterator[str]:
    """Rules on a workflow as a whole."""
    if document.get("permissions") != {}:
        yield "permissions are not {} at the top"
    if "concurrency" in document:
        yield "a lock on the whole run would be held while people think"
    runs = any("run" in step for job in document["jobs"].values() for step in job.get("steps", []))
    if (runs or "defaults" in document) and (document.get("defaults") or {}).get("run") != {"shell": "bash"}:
        yield "its scripts do not run in bash, which alone ends at the first failure in a pipe"
    for event, settings in document["on"].items():
        for name, declared in ((settings or {}).get("inputs") or {}).items() if isinstance(settings, dict) else ():
            if event == "workflow_call" and bool(declared.get("required")) == ("default" in declared):
                yield f"{event}: input {name} is required and has a default, or neither"
            if not declared.get("description"):
                yield f"{event}: input {name} has no description"
            wanted = TYPES.get(declared.get("type", ""))
            if wanted is None:
                yield f"{event}: input {name} has no type"
            elif "default" in declared and not is_of(declared["type"], declared["default"]):
                yield f"{event}: input {name} has a default that is no {declared['type']}"


def is_of(kind: str, value: Any) -> bool:
    """Whether a value is of the type of an input; true and false are no numbers."""
    return isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


def of_action(action: Document) -> Iterator[str]:
    """Rules on an action: it describes itself, takes values through env, and lets a cancellation through."""
    if action["runs"].get("using") != "composite":
        yield f"it is no composite action, but {action['runs'].get('using')}: what it does is not looked at"
        return
    for kind in ("inputs", "outputs"):
        for name, declared in (action.get(kind) or {}).items():
            if not declared.get("description"):
                yield f"{kind}.{name} has no description"
    for name, declared in (action.get("inputs") or {}).items():
        if declared.get("required") is not ("default" not in declared):
            yield f"input {name} is required and has a default, or neither"
    used = set(re.findall(r"inputs\.([\w-]+)", str(action["runs"])))
    for name in (action.get("inputs") or {}).keys() - used:
        yield f"input {name} is not used"
    yield from scripts(action["runs"]["steps"])
    for step in action["runs"]["steps"]:
        if str(step.get("uses", "")).startswith(f"{CREDENTIALS}@") and set(step.get("with") or {}) != ROLE:
            yield f"a role is taken on without one of {', '.join(sorted(ROLE))}"
        if "run" in step and step.get("shell") != "bash":
            yield f"step {step.get('name')} does not run in bash"


def scripts(steps: list[Document], around: Collection[str] = ()) -> Iterator[str]:
    """Rules on scripts: what they read is handed to them, and a command that waits hears of a cancellation."""
    for step in steps:
        if ("run" in step) == ("uses" in step):
            yield f"step {step.get('name', step.get('id'))} neither runs nor uses anything, or both"
        script = step.get("run", "")
        for match in COMMAND.finditer(script):
            if match["name"] != "roles" and not script.startswith("exec "):
                yield f"mlops {match['name']} is not run by exec: cancelling the run would not reach it"
        given = set(step.get("env") or {})
        read = {name for name in re.findall(r"\$\{?([A-Z][A-Z_]*)", script) if not name.startswith(GITHUBS)}
        for name in sorted(read - given - set(around) - {name for found in SET.findall(script) for name in found}):
            yield f"${name} is read and not given by env"
        commands = {match["name"] for match in COMMAND.finditer(script)}
        for name in sorted(given - read - {"GITHUB_TOKEN"}) if commands or step.get("shell") else ():
            yield f"{name} is given by env and not read"
        if WITH_TOKEN & commands and "GITHUB_TOKEN" not in given:
            yield "GitHub is asked without GITHUB_TOKEN"


def rights(repo: Repository, _: Document, name: str, job: Document) -> Iterator[str]:
    """A job's token allows what the job needs, and no more."""
    wanted, given = permissions_of(repo, job), job.get("permissions")
    foreign = "uses" not in job and needs_of(repo, job.get("steps", NOTHING)).foreign
    enough = isinstance(given, dict) and (wanted.items() <= given.items() if foreign else wanted == given)
    if not enough:
        yield f"permissions are {given}, {wanted} are needed"


def locks(repo: Repository, _: Document, name: str, job: Document) -> Iterator[str]:
    """What changes an environment waits its turn, and is never cut short; people hold no lock."""
    needs = needs_of(repo, job.get("steps", NOTHING))
    changing = CHANGING & needs.commands
    given = job.get("concurrency") or {}
    group = str(given.get("group", ""))
    if given.get("cancel-in-progress") is True and "github.ref" not in group:
        yield "it cancels what another branch runs"
    if "door" in needs.commands and (given.get("cancel-in-progress") is not False or "github.run_id" not in group):
        yield "it waits for the event of another approval, which may cancel it"
    if "uses" in job or not changing:
        return
    if given.get("cancel-in-progress") is not False:
        yield "it changes an environment, and may be cancelled by the next run"
    if WAITING & changing:
        if "github.run_id" not in group or "queue" in given:
            yield "it waits for a person under a lock that other runs share"
        return
    if given.get("queue") != "max":
        yield "of the runs that wait for it all but the newest are dropped"
    if {"deploy", "rollback", "teardown"} & changing and "inputs.group" not in group:
        yield "its lock does not name whose endpoint it changes, the champion's or the challenger's"
    where = "github.ref" if needs.duty in ("train", "image") else needs.environment
    where = "inputs.job" if "take-up" in changing else where
    if where not in group:
        yield f"its lock {group!r} does not name {where}"
    if ("rollback" in changing) != group.startswith("rollback-"):
        yield "a rollback waits for the rollout that it has to stop, or a rollout shares the rollback's lock"


def places(repo: Repository, document: Document, name: str, job: Document) -> Iterator[str]:
    """A job's environment is the one whose role it takes on, and makes a deployment record when it deploys."""
    needs = needs_of(repo, job.get("steps", NOTHING))
    given = job.get("environment")
    if not needs.duty:
        if given and needs.commands:
            yield "it has an environment and takes on no role"
        return
    for command, duty in OWN_DUTY.items():
        if (command in needs.commands) != (needs.duty == duty):
            yield f"the duty {needs.duty} does not go with {', '.join(sorted(needs.commands))}"
    if needs.duty == "plan":
        if given:
            yield "its role trusts pull requests and main, whose jobs have no environment"
        return
    if not isinstance(given, dict) or not given.get("name"):
        yield "it takes on a role and has no environment, which is what the role trusts"
        return
    gate = "challenger-approval" if "--group challenger" in needs.scripts else "approval"
    ends = {"approve": f"-{gate}", "apply": "-infra"}
    wanted = f"{needs.environment}{ends.get(needs.duty, '')}"
    if given["name"] != wanted:
        yield f"its environment is {given['name']}, the role of {wanted} is taken on"
    if (needs.environment == FIRST) != (needs.duty in ("train", "image")):
        yield f"the duty {needs.duty} is none of {needs.environment}"
    for uses, inputs in own_actions(job):
        if inputs.get("environment", FIRST) != needs.environment:
            yield f"{uses} works on {inputs.get('environment', FIRST)}, the role is of {needs.environment}"
    yield from contenders(repo, document, job)
    recorded = bool({"deploy", "rollback", "approve", "infra apply"} & needs.commands)
    if (given.get("deployment", True) is True) != recorded:
        yield "a deployment record is made without a deployment" if not recorded else "it deploys without a record"


def contenders(repo: Repository, document: Document, job: Document) -> Iterator[str]:
    """Where a workflow is told whose endpoint it is about, its actions and commands are told the same."""
    given = [settings.get("inputs") or {} for settings in document["on"].values() if isinstance(settings, dict)]
    wanted = "${{ inputs.group }}" if any("group" in each for each in given) else "champion"
    for uses, inputs in own_actions(job):
        takes = ((repo.called(uses) or {}).get("inputs") or {}).get("group")
        if takes and inputs.get("group", takes.get("default")) != wanted:
            yield f"{uses} works for the {inputs.get('group', takes.get('default'))}, the job for {wanted}"
    for step in job.get("steps", []):
        if "GROUP" in (step.get("env") or {}) and step["env"]["GROUP"] != wanted:
            yield f"a command works for the {step['env']['GROUP']}, the job for {wanted}"


def own_actions(job: Document) -> Iterator[tuple[str, Document]]:
    """The actions of this repository that a job uses, with what they are given."""
    for step in job.get("steps", []):
        if str(step.get("uses", "")).startswith(SELF):
            yield step["uses"], step.get("with") or {}


def gates(repo: Repository, document: Document, name: str, job: Document) -> Iterator[str]:
    """What a push starts takes on a role only when there is an AWS, and after the tests."""
    if not {"push", "pull_request"} & set(document["on"]) or "id-token" not in (job.get("permissions") or {}):
        return
    if str(job.get("uses", "")).endswith("/_infra.yml"):
        return  # of a model's tests it knows nothing; its steps ask whether there is an AWS
    if "uses" not in job and not needs_of(repo, job.get("steps", NOTHING)).duty:
        return  # its token is for something else than the project's AWS
    chain = before(document, name)
    if "check" not in chain:
        yield "it does not wait for the tests"
    if not any(READY in str(document["jobs"][each].get("if", "")) for each in {name, *chain}):
        yield "it does not ask whether there is an AWS"


def before(document: Document, name: str) -> set[str]:
    """The jobs that a job waits for, and those that they wait for."""
    given = document["jobs"][name].get("needs", [])
    direct = {given} if isinstance(given, str) else set(given)
    return direct.union(*(before(document, each) for each in direct if each in document["jobs"]))


def times(repo: Repository, _: Document, name: str, job: Document) -> Iterator[str]:
    """A job that hangs ends, and one with a role ends before its credentials do."""
    if "uses" not in job and not 0 < job.get("timeout-minutes", 0) <= LONGEST_MINUTES:
        yield f"timeout-minutes is {job.get('timeout-minutes')}, 1 to {LONGEST_MINUTES} are allowed"


def calls(repo: Repository, _: Document, name: str, job: Document) -> Iterator[str]:
    """The inputs of a called workflow have its types; act and GitHub read "false" as true."""
    called = repo.called(str(job.get("uses", "")))
    if called is None:
        return
    if any("uses" in each for each in called["jobs"].values()):
        yield f"{job['uses']} calls another workflow: one level is enough"
    inputs = (called["on"].get("workflow_call") or {}).get("inputs") or {}
    for given, value in (job.get("with") or {}).items():
        kind = inputs.get(given, {}).get("type", "string")
        expression = isinstance(value, str) and "${{" in value
        if expression and kind != "string" and not re.search(r"fromJSON|==|!=|!", value):
            yield f"{given} is an expression that may be a string, a {kind} is wanted"
        elif not expression and not is_of(kind, value):
            yield f"{given} is {value!r}, a {kind} is wanted"


def orders(repo: Repository, document: Document, name: str, job: Document) -> Iterator[str]:
    """Steps stand in the order in which they need each other: check out, set up, work."""
    steps = job.get("steps", [])
    yield from scripts(steps, {*(document.get("env") or {}), *(job.get("env") or {})})
    needs = needs_of(repo, steps)
    if "verify" in needs.commands and str((steps[0].get("with") or {}).get("fetch-depth")) != "0":
        yield "it verifies and has one commit only: the contract of an older version is not in it"
    if WAITING & needs.commands and job.get("name") != name:
        yield f"its name is {job.get('name')!r}: its reviews are found by its id, {name}"
    words = f" {' '.join(needs.scripts.split())} "
    wanted = {group for command, groups in GROUPS.items() if f" {command} " in words for group in groups}
    if wanted != needs.groups and "uses" not in job:
        yield f"the dependencies {sorted(needs.groups)} are installed, {sorted(wanted)} are needed"
    uses = [str(each.get("uses", "")) for each in steps]
    setup = next((index for index, each in enumerate(uses) if each.endswith("/setup")), None)
    for index, step in enumerate(steps):
        works = "uv run --no-sync" in step.get("run", "") or uses[index].startswith(f"{SELF}.github/actions/")
        if works and index != setup and (setup is None or index < setup):
            yield f"step {index + 1} comes before the setup that it needs"
    if setup is not None and not any(
        str(each.get("uses", "")).startswith("actions/checkout@") for each in steps[:setup]
    ):
        yield "it is set up before it is checked out"
