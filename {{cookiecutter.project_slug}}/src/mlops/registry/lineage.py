"""What a model is made from, as git and DVC know it, and the fingerprint that names it."""

import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from mlops import git
from mlops.compute import images, pipeline
from mlops.errors import BadInput
from mlops.settings.compute import Image
from mlops.settings.project import FILE as SETTINGS_FILE
from mlops.settings.project import Settings

PROJECT_FILE = "pyproject.toml"
LIBRARIES = "model"
"""The dependency group of pyproject.toml that holds what the model needs where it is trained and served."""


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from.

    Args:
        fingerprint: SHA-256 over all that goes into the model.
        commit: full hash of the commit.
        branch: that was worked on.
        dataset: MD5 by which DVC knows the raw data.
        parameters: of all stages, `train.C` → `1.0`.
    """

    fingerprint: str
    commit: str
    branch: str
    dataset: str
    parameters: dict[str, str]


def of(settings: Settings, commit: str = "HEAD") -> Lineage:
    """The lineage of the model that a commit describes.

    Raises:
        BadInput: there is no such commit, or a file of the model is missing in it.
    """
    full = git.commit_of(settings.root, commit)
    parameters = yaml.safe_load(git.content(settings.root, full, pipeline.PARAMETERS)) or {}
    return Lineage(
        fingerprint=fingerprint(settings, full),
        commit=full,
        branch=git.branch(settings.root),
        dataset=dataset(settings, full),
        parameters=flat(parameters),
    )


def fingerprint(settings: Settings, commit: str = "HEAD") -> str:
    """SHA-256 over what goes into the model: data pointers, the package, pipeline, parameters, libraries, image.

    It is made of the contents that git stores, not of commits, so a merge, squash or rebase does not change it.

    Raises:
        BadInput: there is no such commit, or a file of the model is missing in it.
    """
    full = git.commit_of(settings.root, commit)
    return hashlib.sha256(json.dumps(ingredients(settings, full), sort_keys=True).encode()).hexdigest()


def ingredients(settings: Settings, commit: str) -> dict[str, Any]:
    """All that the fingerprint is made of, at one commit."""
    paths = [*pointers(settings, commit), f"src/{settings.package}", pipeline.FILE, pipeline.PARAMETERS]
    found = git.objects(settings.root, commit, paths)
    if missing := [path for path in paths if path not in found]:
        raise BadInput(f"{', '.join(missing)}: not in commit {commit[:12]}; add and commit what is missing")
    # The kind of a folder of one's own is `tree`, whose hash covers names, modes and contents of all below it.
    return {"objects": found, **libraries(settings, commit), "image": image(settings, commit)}


def pointers(settings: Settings, commit: str) -> list[str]:
    """The DVC pointers of the raw data, such as data/raw.dvc, in the order of dvc.yaml."""
    return [f"{path}.dvc" for path in raw_data(settings, commit)]


def raw_data(settings: Settings, commit: str) -> list[str]:
    """The paths in dvc.yaml of a commit that no stage makes and that are not code."""
    stages = (yaml.safe_load(git.content(settings.root, commit, pipeline.FILE)) or {}).get("stages") or {}
    made = {pipeline.path_of(out, name, "outs") for name, body in stages.items() for out in body.get("outs") or []}
    read = (pipeline.path_of(dep, name, "deps") for name, body in stages.items() for dep in body.get("deps") or [])
    return list(dict.fromkeys(path for path in read if path not in made and not path.startswith("src/")))


def dataset(settings: Settings, commit: str) -> str:
    """The MD5 of the raw data; of several, those of all, joined by `+`."""
    return "+".join(pointer(settings, commit, path) for path in raw_data(settings, commit))


def pointer(settings: Settings, commit: str, path: str) -> str:
    """The MD5 by which DVC knows one of the raw data's files or folders, without the `.dir` of a folder.

    Raises:
        BadInput: the commit has no pointer for it, or the pointer names no MD5.
    """
    file = f"{path}.dvc"
    try:
        content = yaml.safe_load(git.content(settings.root, commit, file))
        out = next(each for each in content["outs"] if each["path"] == PurePosixPath(path).name)
        return str(out["md5"]).removesuffix(".dir")
    except BadInput as error:
        raise BadInput(
            f"{path} is not tracked in commit {commit[:12]}; `dvc add {path}`, then commit {file}"
        ) from error
    except (yaml.YAMLError, LookupError, TypeError, StopIteration) as error:
        raise BadInput(f"{file} names no md5 of {path}; `dvc add {path}` writes it anew") from error


def libraries(settings: Settings, commit: str) -> dict[str, Any]:
    """The model's libraries and Python as pyproject.toml pins them."""
    try:
        content = tomllib.loads(git.content(settings.root, commit, PROJECT_FILE).decode())
        wanted = content["dependency-groups"][LIBRARIES]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{PROJECT_FILE}: not valid TOML: {error}") from error
    except KeyError as error:
        raise BadInput(
            f"{PROJECT_FILE}: dependency-groups.{LIBRARIES} is missing; it lists the model's libraries"
        ) from error
    entries = [each if isinstance(each, str) else json.dumps(each, sort_keys=True) for each in wanted]
    return {"libraries": sorted(entries), "python": content.get("project", {}).get("requires-python", "")}


def image(settings: Settings, commit: str) -> str:
    """The identity of the image that a commit's settings name; the rest of them does not make the model."""
    content = yaml.safe_load(git.content(settings.root, commit, SETTINGS_FILE)) or {}
    return images.identity(Image.model_validate(content.get("image") or {}))


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as one level of text: `train.C` → `1.0`."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return found


def refuse_uncommitted(settings: Settings) -> None:
    """Refuse to go on while files that decide about the model, or about its jobs, differ from the last commit.

    Raises:
        BadInput: names them.
    """
    if files := uncommitted(settings):
        raise BadInput(
            f"not committed: {', '.join(files)}; a model is made from a commit: git add and git commit first"
        )


def uncommitted(settings: Settings) -> list[str]:
    """The files that decide about the model, or about its jobs, and differ from the last commit."""
    commit = git.commit_of(settings.root, "HEAD")
    paths = [
        *pointers(settings, commit), f"src/{settings.package}",
        pipeline.FILE, pipeline.PARAMETERS, PROJECT_FILE, SETTINGS_FILE,
    ]  # fmt: skip
    return git.uncommitted(settings.root, paths)
