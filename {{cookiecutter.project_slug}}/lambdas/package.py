"""The zip of all functions: the same bytes from the same files, whoever builds it when. `python -m lambdas.package`.

It holds this folder, the machinery that the functions share with the commands, and the libraries of the dependency
group `lambdas`, in the versions that uv.lock names.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "infra" / "build" / "lambdas.zip"
GROUP = "lambdas"

PYTHON = "3.13"
PLATFORM = "x86_64-manylinux_2_28"
"""What infra/lambdas.tf runs the functions on."""

MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold: of every file."""

LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
"""What an installer notes about itself; it is different from machine to machine."""


def libraries(folder: Path, python: str, platform: str) -> None:
    """Put the functions' libraries into a folder, as they are for the Python and the platform of Lambda."""
    with tempfile.TemporaryDirectory() as temporary:
        wanted = Path(temporary) / "requirements.txt"
        wanted.write_text(requirements(), encoding="utf-8")
        uv(
            "pip", "install", "--quiet", "--target", str(folder), "--python-version", python,
            "--python-platform", platform, "--only-binary", ":all:", "--requirements", str(wanted),
        )  # fmt: skip


def requirements() -> str:
    """The libraries: each in its locked version with its hashes; as pyproject.toml has them where nothing is locked."""
    if (ROOT / "uv.lock").is_file():
        return uv("export", "--quiet", "--frozen", "--only-group", GROUP, "--no-emit-project")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return "\n".join(project["dependency-groups"][GROUP])


def uv(*arguments: str) -> str:
    """What uv prints."""
    command = [os.environ.get("UV", "uv"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def sources() -> dict[str, Path]:
    """The project's own files that go into the zip, by their names there."""
    roots = {"lambdas": ROOT / "lambdas", "mlops": ROOT / "src" / "mlops"}
    return {f"{name}/{file.relative_to(root).as_posix()}": file for name, root in roots.items()
            for file in root.rglob("*.py")}  # fmt: skip


def installed(folder: Path) -> dict[str, Path]:
    """The files of the libraries that go into the zip."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    return {name: file for name, file in files.items() if wanted(file.name, name)}


def wanted(file: str, name: str) -> bool:
    """Whether a file of a library belongs into the zip."""
    return file not in LEFT_OUT and "__pycache__" not in name and not name.startswith(("bin/", "."))


def write(files: dict[str, Path], target: Path) -> str:
    """Write files into a zip, and answer its SHA-256. Names, times and modes are the same on every machine."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_suffix(".new")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.create_system = 3  # Unix, so that the mode is read; files are readable for all
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name].read_bytes())
    beside.replace(target)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def build(target: Path = TARGET, python: str = PYTHON, platform: str = PLATFORM) -> str:
    """Build the zip, and answer its SHA-256."""
    with tempfile.TemporaryDirectory() as temporary:
        libraries(Path(temporary), python, platform)
        return write({**installed(Path(temporary)), **sources()}, target)


def main(arguments: list[str] | None = None) -> None:
    """Build what infra/lambdas.tf uploads."""
    parser = argparse.ArgumentParser(description="Build the zip of the Lambdas")
    parser.add_argument("--output", type=Path, default=TARGET)
    given = parser.parse_args(arguments)
    digest = build(given.output)
    print(f"{given.output}: {given.output.stat().st_size / 1e6:.1f} MB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
