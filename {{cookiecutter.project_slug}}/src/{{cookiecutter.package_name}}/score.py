"""No stage: what another model, such as the one that serves, answers to this test set. The gate runs it as a job.

Reads test.parquet from `SM_CHANNEL_PREPARED` and the other model's model.tar.gz from `SM_CHANNEL_MODEL`; writes
predictions.csv to `SM_OUTPUT_DATA_DIR`, with the columns that evaluate.py writes first. The other model answers by its
own code, as on an endpoint: see answers.py.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from {{cookiecutter.package_name}} import answers, rows
from {{cookiecutter.package_name}}.schema import LABELS


def sha256(file: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def asked(archive: Path, test: Path) -> list[float]:
    """The probabilities that the model of an archive gives to the rows of a file.

    It is asked in a process of its own: its code has the name of this package.
    """
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        command = [sys.executable, answers.__file__, folder, test]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"the other model does not answer these rows: exit code {done.returncode}")
    # What its code prints comes before.
    return [float(each) for each in json.loads(done.stdout.splitlines()[-1])]


def main(arguments: list[str] | None = None) -> None:
    """Ask, and write what was answered."""
    parser = argparse.ArgumentParser(description="Let another model answer the test set")
    parser.add_argument("--digest", required=True, help="SHA-256 that the other model's model.tar.gz has to have")
    given = parser.parse_args(arguments)
    archive = Path(os.environ["SM_CHANNEL_MODEL"]) / "model.tar.gz"
    if (found := sha256(archive)) != given.digest:
        sys.exit(f"{archive.name} has the SHA-256 {found}, {given.digest} was registered: it is not unpacked")
    file = Path(os.environ["SM_CHANNEL_PREPARED"]) / "test.parquet"
    test = rows.read(file)
    probabilities = asked(archive, file)
    output = Path(os.environ["SM_OUTPUT_DATA_DIR"])
    output.mkdir(parents=True, exist_ok=True)
    with (output / "predictions.csv").open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(["row", "label", "probability"])
        for identity, label, probability in zip(test.ids, test.labels, probabilities, strict=True):
            table.writerow([identity, LABELS[int(label)], repr(probability)])
    print(f"scored_rows={len(test)}")


if __name__ == "__main__":
    main()
