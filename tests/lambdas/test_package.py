"""The zip of the Lambdas: the same bytes from the same files, with all that they import."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from lambdas import package


def copied(folder: Path, mode: int, moment: int) -> dict[str, Path]:
    """The project's own files, written by somebody else at another time."""
    folder.mkdir()
    files = {}
    for number, (name, source) in enumerate(sorted(package.sources().items(), reverse=True)):
        file = folder / f"{number}.py"
        file.write_bytes(source.read_bytes())
        file.chmod(mode)
        os.utime(file, (moment, moment + number))
        files[name] = file
    return files


def test_time_mode_and_order_of_the_files_change_no_byte(tmp_path: Path) -> None:
    first = package.write(package.sources(), tmp_path / "first.zip")
    second = package.write(copied(tmp_path / "copy", 0o600, 1_600_000_000), tmp_path / "elsewhere" / "second.zip")

    assert first == second
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "elsewhere" / "second.zip").read_bytes()


def test_a_changed_byte_changes_it(tmp_path: Path) -> None:
    files = copied(tmp_path / "copy", 0o644, 1_600_000_000)
    before = package.write(files, tmp_path / "zip")
    files["lambdas/dispatch.py"].write_bytes(files["lambdas/dispatch.py"].read_bytes() + b"\n")

    assert package.write(files, tmp_path / "zip") != before


def test_all_can_read_what_is_in_it(tmp_path: Path) -> None:
    package.write(package.sources(), tmp_path / "zip")

    with zipfile.ZipFile(tmp_path / "zip") as archive:
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


@pytest.mark.slow
def test_it_is_the_same_when_it_is_built_again(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        first = package.build(tmp_path / "first.zip")
    finally:
        os.umask(old)
    second = package.build(tmp_path / "second.zip")

    with zipfile.ZipFile(tmp_path / "second.zip") as archive:
        names = archive.namelist()
    assert first == second
    assert {"lambdas/dispatch.py", "mlops/hosting/endpoints.py", "jwt/__init__.py"} <= set(names)
    assert [name for name in names if "__pycache__" in name or name.endswith(("RECORD", "INSTALLER"))] == []
    # Lambda takes 50 MB in one upload, and 250 MB unpacked.
    assert (tmp_path / "second.zip").stat().st_size < 30e6
