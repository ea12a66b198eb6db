"""Values set wrong, one at a time: each is taken for another of its kind that exists, as one does by mistake."""

import re
from collections.abc import Iterator
from typing import Any

from mlops.workflows.documents import SELF, Document, Repository, every_step

Place = tuple[Any, ...]
Change = tuple[str, Place, Any]
"""What kind of mistake it is, where, and the value that is there then."""

REFERENCE = re.compile(r"\b(?:inputs|needs|steps|jobs|github|vars)\.[\w.-]*\w")
LITERAL = re.compile(r"'[^']*'")
OPTION = re.compile(r"""\$\{[A-Z_]+:\+[^}]*\}|(?<=\s)--[a-z-]+(?:[ =](?:"[^"]*"|prod|feature|challenger|gate))?""")
VARIABLE = re.compile(r'"\$([A-Z_]+)"')
FOR_PEOPLE = {"description", "run-name"}
"""Texts that only people read."""

ENVIRONMENTS, CONTENDERS = ["feature", "dev", "prod"], ["champion", "challenger"]
KINDS = (
    ENVIRONMENTS,
    CONTENDERS,
    ["train", "deploy", "approve", "destroy", "monitor", "schedule", "image", "plan", "apply"],
    ["opened", "synchronize", "reopened", "edited", "closed"],
    ["string", "boolean", "number"],
    ["choice", "environment"],
    ["read", "write"],
    ["max", "single"],
    ["bash", "sh"],
    ["ubuntu-latest", "macos-latest"],
    ["start", "stop"],
    ["error", "warn"],
    ["'true'", "'false'"],
    ["'success'", "'failure'"],
    ["'dev'", "'main'"],
    ["'prod'", "'feature'"],
    ["github.ref", "github.sha", "github.run_id", "github.ref_name"],
    ["github.head_ref", "github.base_ref"],
    ["github.token", "github.actor"],
    ["github.run_attempt", "github.run_number"],
    ["github.repository", "github.repository_owner"],
    ["github.event_name", "github.event.action"],
    ["github.event.pull_request.head.repo.full_name", "github.event.pull_request.base.repo.full_name"],
    ["github.event.pull_request.head.sha", "github.event.pull_request.base.sha"],
    ["vars.MLOPS_APPROVAL", "vars.APPROVAL"],
)
"""Words of which one may be taken for the next."""


def swaps(repo: Repository, document: Document) -> Iterator[Change]:
    """Every value of a file that may be another."""
    for place, node in nodes(document):
        key = str(place[-1]) if place else ""
        if key in FOR_PEOPLE or (key == "name" and ("steps" in place or len(place) == 1)):
            continue
        match node:
            case bool():
                yield "boolean", place, not node
            case int():
                yield "number", place, node * 2
                yield "number", place, node // 2
            case list():
                yield from (("list", place, node[:each] + node[each + 1 :]) for each in range(len(node)))
            case str():
                yield from text(repo, document, place, node)
        if key == "on":
            yield from (("event", place, {name: node[name] for name in node if name != each}) for each in node)
        if key == "jobs" and len(node) > 1:
            yield from (("job", place, {name: node[name] for name in node if name != each}) for each in node)


def text(repo: Repository, document: Document, place: Place, given: str) -> Iterator[Change]:
    """A text that is wrong in one place."""
    key = str(place[-1])
    if "${{" in given or key == "if":
        for found in REFERENCE.finditer(given):
            yield from (("reference", place, put(given, found, each)) for each in siblings(repo, document, found[0]))
        yield from (("literal", place, put(given, each, after(each[0]) or "''")) for each in LITERAL.finditer(given))
    if key == "run":
        yield from script(document, place, given)
    elif key == "cron":
        fields = given.split()
        for index, each in enumerate(fields):
            other = str(int(each) + 1) if each.isdecimal() else "1"
            yield "cron", place, " ".join([*fields[:index], other, *fields[index + 1 :]])
    elif key == "uses":
        yield "uses", place, other_uses(repo, given)
    elif key == "group" and "concurrency" in place:
        parts = re.split(r"-(?=\$\{\{)", given)
        if len(parts) > 1:
            yield from (("lock", place, "-".join(parts[:each] + parts[each + 1 :])) for each in range(len(parts)))
        yield "lock", place, f"deploy-{given}"
    elif "${{" not in given and key not in {"if", "ref"}:
        yield "text", place, after(given) or other_text(place, given)


def script(document: Document, place: Place, given: str) -> Iterator[Change]:
    """A script without one of its options or lines, or with one variable or word for another."""
    for found in OPTION.finditer(given):
        yield "option", place, put(given, found, "")
    step = inside(document, place[:-1])
    names = list(step.get("env") or {})
    for found in VARIABLE.finditer(given):
        if found[1] in names and len(names) > 1:
            yield "variable", place, put(given, found, f'"${after(found[1], [names])}"')
    for found in re.finditer(r"\b(prod|feature|challenger)\b", given):
        yield "word", place, put(given, found, after(found[0]) or "")
    lines = given.splitlines()
    if len(lines) > 1:
        yield from (("line", place, "\n".join(lines[:each] + lines[each + 1 :])) for each in range(len(lines)))


def siblings(repo: Repository, document: Document, reference: str) -> Iterator[str]:
    """What a reference may be taken for: another input, another output, the same of another step or job."""
    parts = reference.split(".")
    match parts:
        case ["inputs", name]:
            names = list(inputs_of(document))
            if name in names and len(names) > 1:
                yield f"inputs.{after(name, [names])}"
        case ["steps" | "needs" | "jobs", holder, *rest]:
            uses = {each for each in REFERENCE.findall(str(document)) if each.startswith(f"{parts[0]}.{holder}.")}
            others = sorted({each.split(".")[-1] for each in uses} - {"result", "outcome"})
            if rest[0] == "outputs" and len(others) > 1:
                yield f"{parts[0]}.{holder}.outputs.{after(rest[1], [others])}"
            holders = [str(each["id"]) for each in every_step(document) if "id" in each]
            holders = holders if parts[0] == "steps" else list(document.get("jobs", {}))
            if len(holders) > 1:
                yield ".".join([parts[0], after(holder, [holders]), *rest])
        case _:
            if other := after(reference):
                yield other


def inputs_of(document: Document) -> dict[str, Any]:
    """The inputs of a workflow, of whichever event, or of an action."""
    events = [each for each in document.get("on", {}).values() if isinstance(each, dict)]
    return {name: each for holder in [*events, document] for name, each in (holder.get("inputs") or {}).items()}


def after(word: str, kinds: Any = KINDS) -> str:
    """The next word of the first kind that has it; the first follows the last."""
    for kind in kinds:
        if word in kind:
            return str(kind[(kind.index(word) + 1) % len(kind)])
    return ""


def other_uses(repo: Repository, uses: str) -> str:
    """Another of the actions or workflows, own or foreign."""
    texts = [each for document in repo.documents.values() for each in all_uses(document)]
    kind = sorted({each for each in texts if each.rpartition("/")[0] == uses.rpartition("/")[0]})
    if len(kind) == 1:
        kind = sorted({each for each in texts if each.startswith(SELF) == uses.startswith(SELF)})
    return after(uses, [kind])


def all_uses(document: Document) -> Iterator[str]:
    """What a workflow's jobs and steps use."""
    yield from (job["uses"] for job in document.get("jobs", {}).values() if "uses" in job)
    yield from (step["uses"] for step in every_step(document) if "uses" in step)


def other_text(place: Place, given: str) -> str:
    """A text without its last word, or with another one."""
    first, _, last = given.rpartition(" ")
    return first or f"{last}-other"


def put(given: str, found: re.Match[str], other: str) -> str:
    """A text with a part of it replaced."""
    return given[: found.start()] + other + given[found.end() :]


def inside(node: Any, place: Place) -> Any:
    """What is at a place of a file."""
    for part in place:
        node = node[part]
    return node


def nodes(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every node of a document with its place."""
    yield place, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from nodes(value, (*place, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, (*place, index))
