"""The pipeline as dvc.yaml defines it: its stages in order, what each reads, makes and is told."""

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from mlops.errors import BadInput
from mlops.settings.project import Settings

FILE = "dvc.yaml"
PARAMETERS = "params.yaml"

RESERVED_CHANNELS = {"code", "sm_drivers"}
"""Channels under which SageMaker's SDK and our jobs mount the code."""


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        name: of the stage; its script is `src/<package>/<name>.py`.
        code: the dependencies in the package's folder, as written in dvc.yaml.
        inputs: the dependencies that are data, as written.
        output: the folder that it makes.
        parameters: what its script is told, by name, as written in params.yaml.
        line: of dvc.yaml on which its deps begin, from 1.
    """

    name: str
    code: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    parameters: dict[str, Any]
    line: int

    @property
    def channels(self) -> dict[str, str]:
        """Its inputs by channel: the last folder of `data/prepared` gives `prepared`."""
        return {channel_of(each): each for each in self.inputs}

    @property
    def arguments(self) -> dict[str, str]:
        """Its parameters as the text that a script gets on its command line, the same as from a SageMaker job."""
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.parameters.items()}


def channel_of(path: str) -> str:
    """The channel that a data folder or file is mounted under: letters, digits and `_`, as a shell variable has."""
    return re.sub(r"[^a-z0-9]", "_", PurePosixPath(path).name.lower())


def read(settings: Settings, root: Path | None = None) -> list[Stage]:
    """The stages of dvc.yaml, each after those that make what it reads.

    Args:
        settings: of the project.
        root: the folder of dvc.yaml and params.yaml; the project's when not given.

    Raises:
        BadInput: a file is missing or not as the machinery needs it; the message names file, stage and field.
    """
    folder = root or settings.root
    written = mapping(folder, FILE).get("stages")
    if not isinstance(written, dict) or not written:
        raise BadInput(f"{FILE}: there are no stages")
    parameters = mapping(folder, PARAMETERS)
    lines = lines_of_deps((folder / FILE).read_text(encoding="utf-8"))
    stages = [stage(str(name), body, settings, parameters, lines) for name, body in written.items()]
    return in_order(stages)


def mapping(folder: Path, file: str) -> dict[str, Any]:
    """A YAML file that holds a mapping."""
    try:
        content = yaml.safe_load((folder / file).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{file} was not found in {folder}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{file}: holds {type(content).__name__}; a mapping is needed")
    return content


def stage(name: str, body: Any, settings: Settings, parameters: dict[str, Any], lines: dict[str, int]) -> Stage:
    """One stage from its text in dvc.yaml."""
    if not isinstance(body, dict):
        raise BadInput(f"{FILE}: stages.{name} holds {type(body).__name__}; a mapping is needed")
    package = f"src/{settings.package}"
    deps = [path_of(each, name, "deps") for each in body.get("deps") or []]
    outs = [path_of(each, name, "outs") for each in body.get("outs") or []]
    if len(outs) != 1:
        raise BadInput(
            f"{FILE}: stages.{name}.outs has {len(outs)} entries; one folder is needed, all it makes goes there"
        )
    code = tuple(each for each in deps if each == package or each.startswith(f"{package}/"))
    found = Stage(
        name=name,
        code=code,
        inputs=tuple(each for each in deps if each not in code),
        output=outs[0],
        parameters=chosen(name, body.get("params") or [], parameters),
        line=lines.get(name, 1),
    )
    for channel in RESERVED_CHANNELS & set(found.channels):
        raise BadInput(f"{FILE}: stages.{name}.deps has {found.channels[channel]}; {channel} is the code's channel")
    if len(found.channels) < len(found.inputs):
        raise BadInput(
            f"{FILE}: stages.{name}.deps has two inputs of one name; the last folder of each names its channel"
        )
    return found


def path_of(entry: Any, name: str, field: str) -> str:
    """The path of an entry, which DVC writes as text or as a mapping from the path to options."""
    path = next(iter(entry)) if isinstance(entry, dict) and len(entry) == 1 else entry
    if not isinstance(path, str) or path.startswith(("/", "../")) or "://" in path or path in {"", "."}:
        raise BadInput(f"{FILE}: stages.{name}.{field} has {entry!r}; a path inside the project is needed")
    return str(PurePosixPath(path))


def chosen(name: str, wanted: list[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a stage by their last name: section `train` gives all in it, `train.C` gives `C`."""
    found: dict[str, Any] = {}
    for key in wanted:
        if not isinstance(key, str):
            raise BadInput(f"{FILE}: stages.{name}.params has {key!r}; names from {PARAMETERS} are needed")
        value: Any = parameters
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise BadInput(f"{FILE}: stages.{name}.params has {key}, which {PARAMETERS} does not")
            value = value[part]
        given = value if isinstance(value, dict) else {key.rpartition(".")[2]: value}
        for parameter, each in given.items():
            if each is None or isinstance(each, dict):
                raise BadInput(
                    f"{PARAMETERS}: {key}.{parameter} is {each!r}; a number, text, truth value or list is needed"
                )
            found[str(parameter)] = each
    return found


def lines_of_deps(text: str) -> dict[str, int]:
    """The line of dvc.yaml on which each stage's deps begin."""
    tree = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = {}
    for key, stages in getattr(tree, "value", []):
        for name, body in stages.value if key.value == "stages" and isinstance(stages, yaml.MappingNode) else []:
            for field, _ in body.value if isinstance(body, yaml.MappingNode) else []:
                if field.value == "deps":
                    lines[name.value] = field.start_mark.line + 1
    return lines


def in_order(stages: list[Stage]) -> list[Stage]:
    """The stages, each after those that make what it reads; otherwise as they are written.

    Raises:
        BadInput: two stages need each other.
    """
    made_by = {each.output: each.name for each in stages}
    ordered: list[Stage] = []
    left = list(stages)
    while left:
        done = {each.name for each in ordered}
        ready = next((each for each in left if all(made_by.get(path, "") in {*done, ""} for path in each.inputs)), None)
        if ready is None:
            raise BadInput(f"{FILE}: stages {', '.join(each.name for each in left)} wait for each other's outputs")
        left.remove(ready)
        ordered.append(ready)
    return ordered


def named(stages: list[Stage], name: str) -> Stage:
    """The stage of a name.

    Raises:
        BadInput: dvc.yaml has none of that name.
    """
    for each in stages:
        if each.name == name:
            return each
    raise BadInput(f"stage is {name!r}; {FILE} has {', '.join(each.name for each in stages)}")


def training_stage(stages: list[Stage], settings: Settings) -> Stage:
    """The stage that makes the model: the one that runs as a training job.

    Raises:
        BadInput: mlops.yaml makes none or several of them training jobs.
    """
    found = [each for each in stages if each.name in settings.stages and settings.stages[each.name].job == "training"]
    if len(found) != 1:
        raise BadInput(f"mlops.yaml: stages has {len(found)} with job: training; the model comes from one")
    return found[0]


def evaluation_stage(stages: list[Stage], training: Stage) -> Stage:
    """The stage that measures the model: the one that reads it.

    Raises:
        BadInput: no stage of dvc.yaml does, or several do.
    """
    found = [each for each in stages if training.output in each.inputs]
    if len(found) != 1:
        raise BadInput(
            f"{FILE}: {len(found)} stages have {training.output} in their deps; one stage evaluates the model"
        )
    return found[0]


def raw_inputs(stages: list[Stage]) -> list[str]:
    """The data that no stage makes, in the order of its use: DVC has a pointer for each."""
    made = {each.output for each in stages}
    return list(dict.fromkeys(path for each in stages for path in each.inputs if path not in made))
