"""uv, as far as workflows use it. It installs nothing: commands run in the environment that runs the tests.

What is left out: resolving, downloading, and holding uv.lock against pyproject.toml. What is kept: a command sees only
the packages that the groups it was synced with need; the others can not be imported, and their programs not be run.
"""

import hashlib
import json
import os
import re
import sys
import sysconfig
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
STATE = Path(".venv/groups.json")
WITHOUT_VALUE = {
    "--locked", "--frozen", "--no-sync", "--no-default-groups", "--no-dev", "--all-groups", "--quiet", "-q",
    "--no-progress", "--exact", "--inexact", "--check", "--no-editable",
}  # fmt: skip
WITH_VALUE = {"--group", "--no-group", "--only-group", "--python", "-p"}


def fail(message: str) -> None:
    sys.exit(f"error: {message}")


def options(arguments: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The options before the command, and the command."""
    given: list[tuple[str, str]] = []
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        name, equals, value = arguments[position].partition("=")
        position += 1
        if name == "--":
            break
        if name in WITH_VALUE:
            if not equals:
                value, position = arguments[position], position + 1
        elif name not in WITHOUT_VALUE:
            fail(f"unexpected argument '{name}' found (the harness's uv does not know it)")
        given.append((name, value))
    return given, arguments[position:]


def chosen(given: list[tuple[str, str]], project: dict) -> set[str]:
    """The dependency groups that options ask for; `*` stands for the project's own dependencies."""
    names = [name for name, _ in given]
    groups = project.get("dependency-groups", {})
    default = project.get("tool", {}).get("uv", {}).get("default-groups", ["dev"])
    for name, value in given:
        if name.endswith("group") and value not in groups:
            fail(f"Group `{value}` is not defined in the project's `dependency-groups` table")
    only = {value for name, value in given if name == "--only-group"}
    if only:
        return only
    everything = set(groups) if default == "all" or "--all-groups" in names else set(default) & set(groups)
    if "--no-default-groups" in names and "--all-groups" not in names:
        everything = set()
    added = {value for name, value in given if name == "--group"}
    removed = {value for name, value in given if name == "--no-group"} | ({"dev"} if "--no-dev" in names else set())
    return {"*"} | (everything | added) - removed


def profile(groups: set[str], project: dict) -> Path:
    """What can be imported and run with some groups installed; worked out once for each choice."""
    text = json.dumps([sorted(groups), project.get("dependency-groups"), project["project"].get("dependencies")])
    file = Path(os.environ["HARNESS_CACHE"], f"uv-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        own = project["project"].get("dependencies", []) if "*" in groups else []
        lists = [project["dependency-groups"][group] for group in groups - {"*"}]
        installed = closure([*own, *(each for group in lists for each in group if isinstance(each, str))])
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(hidden(installed)), encoding="utf-8")
        temporary.replace(file)
    return file


def closure(requirements: list[str]) -> set[str]:
    """The distributions that requirements bring with them."""
    # Most calls find the profile made, and are over before this would be imported.
    import importlib.metadata

    from packaging.requirements import Requirement

    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(requirements)
    while waiting:
        text = waiting.pop()
        if text in seen:
            continue
        seen.add(text)
        requirement = Requirement(text)
        extras = requirement.extras or {""}
        try:
            distribution = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(normal(requirement.name))
        for line in distribution.requires or []:
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                inner.marker = None
                waiting.append(str(inner))
    return found


def hidden(installed: set[str]) -> dict[str, list[str]]:
    """The modules, programs and names of this environment's distributions that are not among the installed ones."""
    import importlib.metadata

    modules: dict[bool, set[str]] = {True: set(), False: set()}
    programs: dict[bool, set[str]] = {True: set(), False: set()}
    distributions: dict[bool, set[str]] = {True: set(), False: set()}
    for distribution in importlib.metadata.distributions():
        inside = normal(distribution.metadata["Name"]) in installed
        distributions[inside].add(distribution.metadata["Name"])
        for file in distribution.files or []:
            top = file.parts[0]
            if ".." in file.parts and "bin" in file.parts:
                programs[inside].add(file.name)
            elif len(file.parts) > 1 and file.suffix in (".py", ".so"):
                modules[inside].add(top)
            elif len(file.parts) == 1 and file.suffix in (".py", ".so"):
                modules[inside].add(top.split(".")[0])
        programs[inside] |= {entry.name for entry in distribution.entry_points if entry.group == "console_scripts"}
    # One distribution brings a top-level `tests`, which would hide the project's own.
    return {
        "modules": sorted(modules[False] - modules[True] - {"tests"}),
        "distributions": sorted(distributions[False]),
        "programs": sorted(programs[False] - programs[True]),
    }


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    verb, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if verb in ("--version", "version"):
        print("uv 0.0.0 (the harness's)")
        return
    root = next((folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "pyproject.toml").exists()), None)
    if root is None or verb not in ("sync", "run", "lock"):
        fail(f"the harness's uv does not know {verb!r}" if root else "no pyproject.toml here or above")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    given, command = options(arguments)
    state = root / STATE
    before = set(json.loads(state.read_text())) if state.exists() else set()
    if verb == "lock":
        return
    if verb == "sync" or "--no-sync" not in dict(given):
        before = chosen(given, project) | (before if verb == "run" else set())
        state.parent.mkdir(exist_ok=True)
        (state.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        state.write_text(json.dumps(sorted(before)), encoding="utf-8")
    if verb == "sync":
        print(f"the harness installs nothing; synced: {', '.join(sorted(before))}")
        return
    run(command, root, profile(before, project))


def run(command: list[str], root: Path, seen: Path) -> None:
    """Become the command, in the environment as it would be installed."""
    scripts = Path(sysconfig.get_path("scripts"))
    if not command or command[0] in json.loads(seen.read_text(encoding="utf-8"))["programs"]:
        fail(f"Failed to spawn: `{' '.join(command[:1])}`: no such program in what was installed")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(HERE / "installed"), str(scripts), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(HERE / "site"), str(root / "src")]),
        "HARNESS_INSTALLED": str(seen),
        "VIRTUAL_ENV": str(root / ".venv"),
    }
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        fail(f"Failed to spawn: `{command[0]}`: {error.strerror}")


main()
