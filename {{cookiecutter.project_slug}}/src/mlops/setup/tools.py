"""The programs that work on a project needs."""

import re
import shutil
import subprocess

from mlops.settings.project import Settings
from mlops.setup.health import Check

OLDEST = {"git": (2, 25), "uv": (0, 5), "dvc": (3, 0), "terraform": (1, 10)}
"""The oldest versions that are known to do: of Terraform, the first that locks its state in S3 itself."""

FIXES = {
    "git": "install it: git-scm.com",
    "uv": "pip install uv",
    "dvc": "uv sync",
    "terraform": "install it: developer.hashicorp.com/terraform",
}

SECONDS = 60


def checks(settings: Settings) -> list[Check]:
    """What `mlops doctor` says of programs; Terraform is one of them where the project has `infra/`."""
    names = ["git", "uv", "dvc", *(["terraform"] if (settings.root / "infra").is_dir() else [])]
    return [examined(name) for name in names]


def examined(name: str) -> Check:
    """Whether a program is there, and new enough."""
    program = shutil.which(name)
    if program is None:
        return Check(name, False, "not on the PATH", FIXES[name])
    found = version(program)
    oldest = ".".join(map(str, OLDEST[name]))
    if found is None:
        return Check(name, False, f"{program} does not tell its version", FIXES[name])
    shown = ".".join(map(str, found))
    if found[: len(OLDEST[name])] < OLDEST[name]:
        return Check(name, False, f"{shown}; {oldest} or newer is needed", FIXES[name])
    return Check(name, True, shown)


def version(program: str) -> tuple[int, ...] | None:
    """The version that a program tells; None when it does not."""
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return tuple(int(part) for part in found[0].split(".")) if found else None
