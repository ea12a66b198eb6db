"""The raw data of a commit: brought together from the work tree or from DVC, and put into S3 for the jobs."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import boto3

from mlops import display, storage
from mlops.errors import Failure
from mlops.registry import lineage
from mlops.settings.project import Environment, Settings

CHUNK = 1 << 20


def ensure(
    settings: Settings,
    session: boto3.Session,
    environment: Environment,
    commit: str,
    path: str,
    progress: display.Progress,
) -> str:
    """Put one of the raw data's folders or files of a commit into S3, unless it is there.

    Args:
        settings: of the project in the work tree.
        session: may write to the bucket.
        environment: in whose bucket it is put.
        commit: full hash.
        path: of the data, as in dvc.yaml.

    Returns:
        `s3://bucket/data/<md5>/`, the same for the same data.

    Raises:
        Failure: neither the work tree nor DVC's cache nor its remote has the data.
    """
    md5 = lineage.pointer(settings, commit, path)
    uri = f"s3://{environment.bucket}/data/{md5}/"
    # Written last, and beside the data: a prefix without it is an upload that was interrupted.
    receipt = f"s3://{environment.bucket}/data/{md5}.json"
    if storage.exists(session, receipt) and json.loads(storage.read(session, receipt)) == storage.listing(session, uri):
        return uri
    with tempfile.TemporaryDirectory() as temporary:
        folder = folder_of(settings, commit, path, md5, Path(temporary))
        progress(f"data: sending {path} {md5[:8]} to {uri}")
        storage.upload_folder(session, folder, uri, environment.kms_key)
    storage.write(session, receipt, json.dumps(storage.listing(session, uri)).encode(), environment.kms_key)
    return uri


def folder_of(settings: Settings, commit: str, path: str, md5: str, temporary: Path) -> Path:
    """A folder with the data of a pointer, checked by its MD5: the work tree's own, or one filled by DVC."""
    here = settings.root / path
    if here.exists() and md5_of(here) == md5:
        if here.is_dir():
            return here
        shutil.copy2(here, temporary / here.name)
        return temporary
    return fetched(settings, commit, path, md5, temporary)


def restore(settings: Settings, commit: str, path: str, target: Path) -> None:
    """Put one of the raw data's folders or files of a commit at its place in another folder."""
    with tempfile.TemporaryDirectory() as temporary:
        md5 = lineage.pointer(settings, commit, path)
        folder = folder_of(settings, commit, path, md5, Path(temporary))
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        single = folder / place.name
        if folder != settings.root / path and single.is_file() and md5_of(single) == md5:
            shutil.copy2(single, place)
        else:
            shutil.copytree(folder, place, dirs_exist_ok=True)


def fetched(settings: Settings, commit: str, path: str, md5: str, temporary: Path) -> Path:
    """The data of a pointer from DVC's cache, or from its remote."""
    try:
        from dvc.api import DVCFileSystem
    except ImportError as error:
        raise Failure(
            f"{path} is not that of commit {commit[:12]}, and DVC is not installed: uv sync --all-groups"
        ) from error
    target = temporary / Path(path).name
    why = "DVC has none or not all of it"
    try:
        DVCFileSystem(str(settings.root), rev=commit).get(path, str(target), recursive=True)
    except Exception as error:  # DVC's errors have no common ancestor that it exports.
        why = " ".join(str(error).split()) or type(error).__name__
        shutil.rmtree(target, ignore_errors=True)
    # Of a folder that DVC lost it gives an empty one, without a word.
    if not target.exists() or md5_of(target) != md5:
        raise Failure(
            f"{path} {md5[:8]}, the data of commit {commit[:12]}, is not in the work tree, and DVC can not "
            f"give it: {why}; `dvc push` where the data is"
        )
    return target if target.is_dir() else temporary


def md5_of(path: Path) -> str:
    """The MD5 by which DVC knows a file, or a folder: that of the list of its files."""
    if path.is_file():
        return md5_of_file(path)
    files = {each.relative_to(path).as_posix(): each for each in path.rglob("*") if each.is_file()}
    listed = [{"md5": md5_of_file(files[name]), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def md5_of_file(file: Path) -> str:
    """The MD5 of a file's bytes."""
    md5 = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            md5.update(chunk)
    return md5.hexdigest()
