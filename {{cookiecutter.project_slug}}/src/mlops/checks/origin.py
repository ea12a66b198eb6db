"""Where a version comes from: from this checkout, from another commit, or from no commit at all."""

from mlops import git
from mlops.errors import BadInput, Failure
from mlops.registry import lineage, packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Settings


def other(settings: Settings, package: ModelPackage) -> str:
    """Where a version comes from, in words, when it is not known to come from this checkout; empty when it does."""
    if package.is_adopted:
        return "was adopted and made by no commit"
    try:
        if package.fingerprint == lineage.fingerprint(settings):
            return ""
    except (BadInput, Failure) as error:
        return f"can not be held against this checkout ({error})"
    return f"was made from another commit than this one ({package.commit[:12] or 'not known'})"


def commit(settings: Settings, package: ModelPackage) -> str:
    """The commit that brought a version, when it is another than this checkout's and known; else empty."""
    return package.metadata.get(packages.PROMOTED_COMMIT, "") if other(settings, package) else ""


def file(settings: Settings, package: ModelPackage, path: str) -> bytes:
    """A file as the commit has it that brought a version; this folder's where that is it, or is not in this clone.

    Raises:
        FileNotFoundError: there is no such file.
    """
    own = commit(settings, package)
    try:
        known = git.commit_of(settings.root, own) if own else ""
    except (BadInput, Failure):
        known = ""
    if not known:
        return (settings.root / path).read_bytes()
    try:
        return git.content(settings.root, known, path)
    except BadInput as error:
        raise FileNotFoundError(path) from error
