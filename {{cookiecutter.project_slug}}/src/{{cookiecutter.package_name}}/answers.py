"""What a model answers to some rows by the code in its own artefact; score.py runs it in a process of its own.

Arguments: the folder of the unpacked model.tar.gz, and a Parquet file of rows. The last line that it prints is the
probabilities as a JSON array. It imports nothing of this package, whose name that code has too.
"""

import importlib
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

PACKAGE = "{{cookiecutter.package_name}}"


def main(folder: str, file: str) -> None:
    """Ask through the functions of inference.py, in the order in which the container calls them."""
    # In place of this script's own folder, which holds modules of the same names.
    sys.path[0] = str(Path(folder) / "code")
    inference, schema = (importlib.import_module(name) for name in ("inference", f"{PACKAGE}.schema"))
    table = pq.read_table(file)
    if missing := [name for name in schema.FEATURES if name not in table.column_names]:
        sys.exit(f"the test set has no column {', '.join(missing)}, which the other model needs")
    columns = [table[name].to_pylist() for name in schema.FEATURES]
    body = json.dumps({"instances": [list(values) for values in zip(*columns, strict=True)]})
    rows = inference.input_fn(body, "application/json")
    answer = inference.output_fn(inference.predict_fn(rows, inference.model_fn(folder)), "application/json")
    if answer.status_code != 200:
        sys.exit(f"the other model refuses the test set with {answer.status_code}: {answer.get_data(as_text=True)}")
    print(json.dumps([each["probability"] for each in json.loads(answer.get_data())["predictions"]]))


if __name__ == "__main__":
    main(*sys.argv[1:])
