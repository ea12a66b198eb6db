"""Which modules of the package a stage imports, and the refusal of those that its deps do not name."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops.compute.pipeline import FILE, Stage
from mlops.errors import BadInput


@dataclass(frozen=True)
class Import:
    """An import of a module of the project.

    Args:
        path: of the imported module, from the project's root.
        by: the importing module, likewise.
        line: of the import, from 1.
    """

    path: str
    by: str
    line: int


def refuse_undeclared(stage: Stage, package: str, root: Path) -> None:
    """Refuse a stage that imports what its deps do not name: DVC would skip it when that module changes.

    Args:
        stage: its modules are read, and all that they import, but nothing is run.
        package: name of the model's package.
        root: folder of the project.

    Raises:
        BadInput: one line for each missing module: where it is imported, and where to name it.
    """
    folder = f"src/{package}"
    script = f"{folder}/{stage.name}.py"
    if not (root / script).is_file():
        raise BadInput(f"{FILE}: stage {stage.name} has no script; {script} is needed")
    problems = [] if declared(script, stage) else [missing(Import(script, FILE, stage.line), stage)]
    seen: set[str] = set()
    waiting = [script, *(each for each in stage.code if each.endswith(".py") and (root / each).is_file())]
    while waiting:
        module = waiting.pop(0)
        if module in seen:
            continue
        seen.add(module)
        for found in imports(module, package, root):
            if not found.path.startswith(f"{folder}/"):
                problems.append(
                    f"{found.by}:{found.line} imports {found.path}, which a job does not have: only {folder} is sent"
                )
            elif found.path not in seen:
                if not declared(found.path, stage) and found.path not in waiting:
                    problems.append(missing(found, stage))
                waiting.append(found.path)
    if problems:
        raise BadInput("\n".join(problems))


def declared(path: str, stage: Stage) -> bool:
    """Whether a stage's deps name a module, or a folder that holds it."""
    return any(path == each or path.startswith(f"{each}/") for each in stage.code)


def missing(found: Import, stage: Stage) -> str:
    """The line for a person about a module that is not declared."""
    what = "runs" if found.by == FILE else "imports"
    where = f"add `- {found.path}` to {FILE}, below line {stage.line}"
    return f"{found.by}:{found.line} {what} {found.path}, which the deps of stage {stage.name} do not name; {where}"


def imports(module: str, package: str, root: Path) -> Iterator[Import]:
    """The modules of the project that one module imports, anywhere in it."""
    try:
        tree = ast.parse((root / module).read_bytes(), filename=module)
    except SyntaxError as error:
        raise BadInput(f"{module}:{error.lineno} is no valid Python: {error.msg}") from error
    parents = list(Path(module).relative_to("src").parent.parts)
    for node in ast.walk(tree):
        for name in names(node, parents):
            for path in files_of(name, package, root):
                yield Import(path, module, getattr(node, "lineno", 1))


def names(node: ast.AST, parents: list[str]) -> list[str]:
    """The dotted names that a statement imports; of `from a import b` both `a` and `a.b`, as `b` may be a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = parents[: len(parents) - node.level + 1] if node.level else []
        start = ".".join([*above, *([node.module] if node.module else [])])
        return [start, *(f"{start}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def files_of(name: str, package: str, root: Path) -> list[str]:
    """The files that are run when a dotted name is imported; none when it is not of the project.

    A script's own folder comes first on its path, so `import rows` finds the package's rows.py as well.
    """
    source = root / "src"
    parts = [part for part in name.split(".") if part]
    if not parts:
        return []
    start = source / package if (source / package / f"{parts[0]}.py").is_file() else source
    found = []
    place = start
    for part in parts:
        place = place / part
        candidates = [place.with_name(f"{part}.py"), place / "__init__.py"]
        if (file := next((each for each in candidates if each.is_file()), None)) is None:
            break
        found.append(file.relative_to(root).as_posix())
    return found


def needed(script: str, package: str, root: Path) -> tuple[str, ...]:
    """A script and all modules of the package that it imports, directly or through others, in order of their names.

    Args:
        script: its path from the project's root.
        package: name of the model's package.
        root: folder of the project.
    """
    found, waiting = set[str](), [script]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [each.path for each in imports(module, package, root)]
    return tuple(sorted(found))
