"""New raw data: files that have come into the first environment's bucket become part of what DVC tracks."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3

from mlops import aws, git, storage
from mlops.compute import dataset
from mlops.display import Progress
from mlops.errors import BadInput, Failure
from mlops.registry import lineage
from mlops.settings.project import Environment, Settings

PREFIX = "incoming"
"""Where new files lie in the bucket: `incoming/data/raw/june.csv` is meant to become `data/raw/june.csv`."""


@dataclass(frozen=True)
class Arrival:
    """New data of one of the raw data's folders.

    Args:
        path: of the folder, as in dvc.yaml.
        files: that are new or have changed, below the folder.
        before: MD5 by which DVC knows the folder as it is in the commit.
        after: with the new files.
        pointer: text of its `.dvc` file with them.
    """

    path: str
    files: tuple[str, ...]
    before: str
    after: str
    pointer: str


def name(arrivals: list[Arrival]) -> str:
    """The same for the same data."""
    if len(arrivals) == 1:
        return arrivals[0].after[:12]
    together = "+".join(each.after for each in arrivals)
    return hashlib.md5(together.encode(), usedforsecurity=False).hexdigest()[:12]


def arrived(settings: Settings, environment: Environment, progress: Progress) -> list[Arrival]:
    """Bring what has come in together with the raw data of HEAD, in the work tree and in DVC's remote.

    Args:
        settings: of the project; its work tree is a clean checkout.
        environment: the one that trains, in whose bucket new files arrive.
        progress: told what is found.

    Returns:
        The folders that have changed; none when all that has come in is in them already.

    Raises:
        Failure: AWS refuses, or DVC can not give the data of HEAD.
    """
    session = aws.session(settings, environment, aws.duty_in(settings, environment))
    commit = git.commit_of(settings.root, "HEAD")
    found = []
    for path in lineage.raw_data(settings, commit):
        uri = f"s3://{environment.bucket}/{PREFIX}/{path}/"
        names = [each for each in sorted(storage.listing(session, uri)) if each and not each.endswith("/")]
        progress(f"{path}: {len(names)} files in {uri}")
        if names:
            found.append(joined(settings, session, commit, path, {each: f"{uri}{each}" for each in names}))
    return [each for each in found if each.after != each.before]


def joined(settings: Settings, session: boto3.Session, commit: str, path: str, files: dict[str, str]) -> Arrival:
    """The folder of a commit with new files in it, known to DVC and pushed when it has changed."""
    folder, before = settings.root / path, lineage.pointer(settings, commit, path)
    if not folder.exists() or dataset.md5_of(folder) != before:
        dvc(settings.root, "pull", "--force", f"{path}.dvc")
    if not folder.is_dir():
        raise BadInput(f"{path} is a file; new files join a folder: track the folder that it is in")
    changed = [name for name, uri in files.items() if taken_in(session, uri, place(folder, name))]
    after = dataset.md5_of(folder)
    if after != before:
        dvc(settings.root, "add", path)
        dvc(settings.root, "push", f"{path}.dvc")
    pointer = (settings.root / f"{path}.dvc").read_text(encoding="utf-8")
    return Arrival(path, tuple(changed), before, after, pointer)


def place(folder: Path, name: str) -> Path:
    """Where a new file goes.

    Raises:
        BadInput: its key leads out of the folder.
    """
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise BadInput(f"{PREFIX}/ holds {name!r}, which is no path below {folder.name}: remove the object")
    return folder / name


def taken_in(session: boto3.Session, uri: str, file: Path) -> bool:
    """Put a new file into the folder; whether that has changed anything."""
    before = dataset.md5_of_file(file) if file.is_file() else ""
    # DVC may have linked the file to its cache, which would be written through.
    file.unlink(missing_ok=True)
    storage.download(session, uri, file)
    return dataset.md5_of_file(file) != before


def dvc(root: Path, *arguments: str) -> None:
    """Run DVC.

    Raises:
        Failure: it is not installed, or ends with an error.
    """
    command = [sys.executable, "-m", "dvc", *arguments, "--quiet"]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise Failure(f"dvc {' '.join(arguments)}: {said}")
