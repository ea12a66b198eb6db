"""Values that are handed on: each under the name that it is taken under, from the step or job that makes it."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from mlops.workflows.documents import SELF, Document, Repository
from mlops.workflows.needs import COMMAND, needs_of

WRITES = {
    "roles": {"ready", "project", "region", "role", "seconds", "train-role", "deploy-role", "approve-role",
              "destroy-role", "monitor-role"},
    "run": {"trained"},
    "register": {"trained", "package", "version"},
    "promote": {"current", "pending", "version", "contest", "challenger-pending", "challenger-version"},
    "deploy": {"endpoint", "version", "changed"},
    "door": {"deploys"},
    "infra plan": {"apply"},
}  # fmt: skip
"""The outputs of commands that workflows read; test_static.py holds it against the commands."""

VARIABLES = {"MLOPS_APPROVAL"}
"""The variables of a repository that workflows may read: those that `mlops bootstrap github` sets."""

OTHER_NAMES = {
    "GITHUB_TOKEN": {"github.token", "inputs.token"},
    "APPROVAL": {"vars.MLOPS_APPROVAL"},
    "BRANCH": {"github.head_ref"},
    "ref": {"github.event.pull_request.head.sha"},
    "role-to-assume": {"steps.roles.outputs.role"},
    "aws-region": {"steps.roles.outputs.region"},
    "role-duration-seconds": {"steps.roles.outputs.seconds"},
    "version": {"inputs.package", "needs.copy.outputs.challenger-version"},
    "VERSION": {"inputs.package", "needs.copy.outputs.challenger-version"},
}
"""Values that are taken under another name than they are handed on."""

MADE_UP = {
    "trained": {"steps.register.outputs.trained || steps.run.outputs.trained"},
    "job": {"github.run_attempt == 1 && inputs.job || ''"},
    "CHANGED": {"steps.deploy.outputs.changed == 'true' && 'true' || ''"},
    "REASON": {"inputs.reason || 'the schedule'"},
}
"""Values that are made from more than one."""

OPTIONS = {
    "roles": "--env --duty", "run": "--env --after", "register": "--env --after", "report": "--env --group --comment",
    "promote": "--to", "deploy": "--env --group --version", "verify": "--env --group --of-version",
    "approve": "--env --version", "reject": "--env --version", "door": "--env --group --version", "monitor": "--env",
    "rollback": "--env --group --to", "schedule": "--env", "teardown": "--env --group --confirm",
    "take-up": "--env --job", "retrain": "--env --reason", "image": "--folder", "infra plan": "--env --approval",
    "infra apply": "--env",
}  # fmt: skip
"""What each command is told, wherever a workflow runs it."""

CARRIES = {"--env": {"ENVIRONMENT"}, "--to": {"ENVIRONMENT", "VERSION"}, "--after": {"JOB"}}
"""The variables in which the values of options stand that have another name."""

COMPARING = {"promote", "deploy"}
"""Commands behind which the gate stands, which compares predictions by numpy."""

INSTALLED, WITH_GATE = "uv run --no-sync", "uv run --locked --no-default-groups --group=gate"
REFERENCE = re.compile(r"\b(steps|jobs|needs)\.([\w-]+)\.outputs\.([\w-]+)")
ALONE = re.compile(r"\$\{\{ ([\w.-]+) \}\}")
OR_ELSE = re.compile(r"inputs\.([\w-]+) \|\| '([^']*)'")
GIVEN = re.compile(r'(--[a-z-]+) (?:"\$([A-Z_]+)"|(?!-)([a-z]+))')
WHEN_THERE = re.compile(r'\$\{([A-Z_]+):\+--[a-z-]+(?: "\$([A-Z_]+)")?\}')


def broken(repo: Repository, of: Collection[str] | None = None) -> Iterator[str]:
    """Every value that is not the one that its name says, in all files or in some."""
    for path, document in repo.documents.items():
        if of is not None and path not in of:
            continue
        jobs = document["jobs"] if path in repo.workflows else {"action": document["runs"]}
        for name, job in jobs.items():
            yield from (f"{path}: {name}: {problem}" for problem in of_job(repo, document, job))
        for kind, holder, output in REFERENCE.findall(str(document.get("on", {}))):
            if kind != "jobs" or output not in outputs_of_job(repo, document["jobs"].get(holder, {})):
                yield f"{path}: its job {holder} has no output {output}"
        outputs = document if path in repo.actions else (document["on"].get("workflow_call") or {})
        for name, declared in (outputs.get("outputs") or {}).items():
            yield from (f"{path}: {problem}" for problem in named(document, {name: declared["value"]}))
        if unknown := set(re.findall(r"\bvars\.(\w+)", str(document))) - VARIABLES:
            yield f"{path}: nothing sets {', '.join(sorted(unknown))}"
        if re.search(r"\bsecrets\b", str(document)):
            yield f"{path}: a secret is read: no key is kept for longer than a run"


def of_job(repo: Repository, document: Document, job: Document) -> Iterator[str]:
    """What is wrong in a job, or in an action."""
    needs = job.get("needs", [])
    before = [needs] if isinstance(needs, str) else needs
    made = {("steps", step["id"]): outputs_of_step(repo, step) for step in job.get("steps", []) if "id" in step}
    made |= {("needs", each): outputs_of_job(repo, document["jobs"][each]) for each in before}
    text = str(job) + (str(document.get("outputs", "")) if "runs" in document else "")
    for kind, holder, output in REFERENCE.findall(text):
        if output not in made.get((kind, holder), set()):
            yield f"{kind}.{holder} has no output {output}"
    yield from named(document, job.get("outputs") or {})
    yield from named(document, job.get("with") or {})
    yield from of_contender(job.get("with") or {}, (job.get("with") or {}).get("group"))
    place = needs_of(repo, job["steps"]).environment if "steps" in job else ""
    for step in job.get("steps", []):
        given = {**(step.get("with") or {}), **(step.get("env") or {})}
        yield from named(document, given)
        yield from of_script(step.get("run", ""), place)
        challenger = "challenger" if "--group challenger" in step.get("run", "") else given.get("group")
        yield from of_contender(given, challenger)
        if str(step.get("uses", "")).startswith("actions/checkout@") and given.get("persist-credentials") is not False:
            yield "the token is left in the work tree, where what is checked out can read it"


def outputs_of_step(repo: Repository, step: Document) -> set[str]:
    """What a step makes: the outputs of its action, or of the command that it runs."""
    if str(step.get("uses", "")).startswith(SELF):
        return set((repo.called(step["uses"]) or {}).get("outputs") or {})
    return {each for found in COMMAND.finditer(step.get("run", "")) for each in WRITES.get(found["name"], ())}


def outputs_of_job(repo: Repository, job: Document) -> set[str]:
    """What a job hands on: its own outputs, or those of the workflow that it calls."""
    if "uses" in job:
        return set(((repo.called(job["uses"]) or {"on": {}})["on"].get("workflow_call") or {}).get("outputs") or {})
    return set(job.get("outputs") or {})


def named(document: Document, given: dict[str, Any]) -> Iterator[str]:
    """A value that is handed on is the one of the same name."""
    for name, value in given.items():
        if not isinstance(value, str) or "${{" not in value:
            continue
        alone, same = ALONE.fullmatch(value), name.lower().replace("_", "-")
        inner = value.removeprefix("${{ ").removesuffix(" }}")
        if inner in MADE_UP.get(name, ()):
            continue
        if alone:
            if alone[1] not in OTHER_NAMES.get(name, ()) and alone[1].rpartition(".")[2] != same:
                yield f"{name} is {value}"
        elif otherwise := OR_ELSE.fullmatch(inner):
            default = (document["on"]["workflow_dispatch"]["inputs"].get(otherwise[1]) or {}).get("default")
            if otherwise[1] != same or otherwise[2] != default:
                yield f"{name} is {value}, and by hand it is {default}"
        elif name not in ("name", "path"):  # of what is kept for later jobs: see handing.py
            yield f"{name} is {value}, which nobody has looked at"


def of_contender(given: dict[str, Any], group: str | None) -> Iterator[str]:
    """The challenger's version goes to the challenger, and no other."""
    for name in ("version", "VERSION"):
        if name in given and ("challenger-version" in given[name]) != (group == "challenger"):
            yield f"{name} is {given[name]}, of the {group or 'champion'}"


def of_script(script: str, environment: str) -> Iterator[str]:
    """A command is told all that it has to know, each under its name."""
    words = " ".join(script.split())
    for found in COMMAND.finditer(words):
        options = set(re.findall(r"--[a-z-]+", found["options"]))
        if missing := set(OPTIONS.get(found["name"], "").split()) - options:
            yield f"mlops {found['name']} is not told {', '.join(sorted(missing))}"
        for option, variable, word in GIVEN.findall(found["options"]):
            if variable and variable not in CARRIES.get(option, {option[2:].upper()}):
                yield f"mlops {found['name']} takes ${variable} as {option}"
            if word and option in ("--env", "--to") and word != environment:
                yield f"mlops {found['name']} works on {word}, the role is of {environment}"
        runner = WITH_GATE if found["name"] in COMPARING else INSTALLED
        if f"{runner} mlops {found['name']}" not in words:
            yield f"mlops {found['name']} is not run by {runner}"
    for asked, taken in WHEN_THERE.findall(words):
        if taken and asked != taken:
            yield f"${taken} is handed over when there is ${asked}"
