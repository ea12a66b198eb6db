"""Keep files as an artifact of the run, by the rules of upload-artifact since version 4."""

import glob
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path


def found(lines: list[str], hidden: bool) -> Iterator[Path]:
    for line in filter(None, map(str.strip, lines)):
        for match in map(Path, sorted(glob.glob(line, recursive=True))):  # noqa: PTH207 - Path.glob takes no absolute one
            for file in [match] if match.is_file() else sorted(match.rglob("*")):
                if file.is_file() and (hidden or not any(part.startswith(".") for part in file.parts if part != "..")):
                    yield file.absolute()


def main() -> None:
    env = os.environ
    target = Path(env["HARNESS_ARTIFACTS"], env["INPUT_NAME"])
    if target.exists() and env["INPUT_OVERWRITE"] != "true":
        sys.exit(f"::error::an artifact with the name {target.name} exists already in this run")
    shutil.rmtree(target, ignore_errors=True)
    lines = env["INPUT_PATH"].splitlines()
    files = list(dict.fromkeys(found(lines, env["INPUT_HIDDEN"] == "true")))
    if not files and env["INPUT_NOTHING"] == "error":
        sys.exit(f"::error::No files were found with the provided path: {env['INPUT_PATH']}")
    searched = [line.strip() for line in lines if line.strip()]
    if len(searched) == 1 and Path(searched[0]).is_dir():
        root = Path(searched[0]).absolute()
    else:
        root = Path(os.path.commonpath([file.parent for file in files])) if files else Path()
    for file in files:
        place = target / file.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    with Path(env["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"artifact-id={zlib.crc32(target.name.encode())}\n" if files else "")
    print(f"uploaded {len(files)} files as {target.name}")


main()
