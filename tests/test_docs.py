"""What the documentation names is there: commands with their options, and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

from mlops.cli import app
from mlops.settings.project import Settings

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs").glob("*.md"),
    ROOT / "benchmarks" / "README.md",
    PROJECT / "README.md",
    *(PROJECT / "docs").glob("*.md"),
    PROJECT / "sandbox" / "README.md",
    PROJECT / ".github" / "pull_request_template.md",
]
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w./-])mlops +([^\n#|·&;]*)")
FILES = (
    ".yml",
    ".yaml",
    ".md",
    ".py",
    ".toml",
    ".tf",
    ".json",
    ".lock",
    ".csv",
    ".parquet",
    ".gz",
    ".txt",
    ".zip",
    ".log",
)

NAMED_BY_THE_TEAM = {"tags", "per_hour", "dimensions", "metrics", "stages"}
"""Settings whose keys are instance types, tags, stages and so on."""

OTHERS = {"endpoint.environment"}
"""What looks like a setting, and is one of what a check in tests/endpoint is given."""


def code(page: Path) -> Iterator[str]:
    """What a page has as code, in blocks and within sentences."""
    for block, span in CODE.findall(page.read_text(encoding="utf-8")):
        yield block.replace("\\\n", " ") or span


@cache
def commands() -> Any:
    """What the command line has."""
    return get_command(app)


def unknown(line: str) -> str:
    """What of a call of mlops is not there; empty when all is."""
    command = commands()
    words = line.split()
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            break
        if words[0] not in command.commands:
            # What stands for a command in a sentence.
            return "" if words[0].isupper() or not re.match(r"[a-z-]+$", words[0]) else words[0]
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in getattr(parameter, "opts", [])} | {
        "--help",
        "--debug",
    }
    given = words[: words.index("--")] if "--" in words else words
    return next((word for word in (each.partition("=")[0].strip("[],.") for each in given)
                 if word.startswith("--") and word not in known), "")  # fmt: skip


def test_commands_and_options_are_there() -> None:
    calls = [(page, line) for page in PAGES for text in code(page) for line in COMMAND.findall(text)]

    assert len(calls) > 100
    assert [f"{page.name}: mlops {line}: {what}" for page, line in calls if (what := unknown(line))] == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("deploy --env dev", ""),
        ("bootstrap github --plan", ""),
        ("sandbox run -- dvc push --force", ""),
        ("publish --env dev", "publish"),
        ("deploy --environment dev", "--environment"),
        ("bootstrap gitlab", "gitlab"),
    ],
)
def test_a_slip_is_seen(line: str, what: str) -> None:
    assert unknown(line) == what


def models(kind: Any) -> Iterator[type[BaseModel]]:
    """The models that a type is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from models(field.annotation)
    for part in get_args(kind):
        yield from models(part)


def names() -> set[str]:
    """Every name that a setting has somewhere in mlops.yaml."""
    return {field.alias or name for model in set(models(Settings)) for name, field in model.model_fields.items()}


def keys(value: Any) -> Iterator[str]:
    """The keys of a document of YAML, on every level."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from () if key in NAMED_BY_THE_TEAM else keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys(each)


def test_settings_are_there() -> None:
    known, wrong, seen = names(), [], 0
    for page in (PROJECT / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            if re.search(r"\b(uses|runs-on|requests|permissions):", block):
                continue  # a workflow, or a contract
            found = list(keys(yaml.safe_load(re.sub(r"\{\{.*?\}\}", "x", block))))
            seen += len(found)
            wrong += [f"{page.name}: {key}" for key in found if key not in known]
        for path in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?::[^`]*)?`", text):
            parts = path.split(".")
            if parts[0] in known - NAMED_BY_THE_TEAM and not path.endswith(FILES) and path not in OTHERS:
                seen += 1
                wrong += [f"{page.name}: {path}"] if set(parts) - known else []

    assert seen > 30
    assert wrong == []
