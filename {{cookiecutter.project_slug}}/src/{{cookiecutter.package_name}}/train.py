"""Second stage: fit the model and put it into the artefact that is registered and served.

Reads train.parquet and validation.parquet from `SM_CHANNEL_PREPARED`; writes model.joblib to `SM_MODEL_DIR`, with the
modules that answer requests in code/. Prints metrics as `name=value`, which SageMaker reads from the log.
"""

import argparse
import os
import shutil
from pathlib import Path

import joblib
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from {{cookiecutter.package_name}} import metrics, rows
from {{cookiecutter.package_name}}.rows import Rows

SERVED = ("__init__.py", "request.py", "schema.py")
"""What inference.py imports of this package. Each is a dependency of the stage in dvc.yaml."""


def fit(train: Rows, C: float, max_iter: int, seed: int) -> Pipeline:
    """Fit a logistic regression on standardised features.

    Args:
        train: the rows to learn from.
        C: inverse strength of the L2 penalty, above 0.
        max_iter: most steps of the solver.
        seed: of the solver, where it draws at random.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=max_iter, random_state=seed))
    # One thread: the sums of several depend on their number in the last bit, and the artefact's digest with them.
    with threadpool_limits(limits=1):
        return model.fit(train.features, train.labels)


def add_code(model_folder: Path) -> None:
    """Copy what answers requests beside the model, as the scikit-learn container expects it: code/inference.py."""
    package = Path(__file__).parent
    code = model_folder / "code"
    (code / package.name).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package / "inference.py", code / "inference.py")
    for module in SERVED:
        shutil.copyfile(package / module, code / package.name / module)


def main(arguments: list[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description="Fit the model")
    parser.add_argument("--C", type=float, default=1.0, help="inverse strength of the L2 penalty, above 0")
    parser.add_argument("--max_iter", type=int, default=1000, help="most steps of the solver")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args(arguments)
    if given.C <= 0 or given.max_iter < 1:
        parser.error(f"C is {given.C}, max_iter is {given.max_iter}; both are needed above 0")

    prepared = Path(os.environ["SM_CHANNEL_PREPARED"])
    model = fit(rows.read(prepared / "train.parquet"), given.C, given.max_iter, given.seed)
    validation = rows.read(prepared / "validation.parquet")
    probabilities = model.predict_proba(validation.features)[:, 1]
    for name, value in metrics.measure(validation.labels, probabilities).items():
        print(f"validation_{name}={value:.6f}")

    folder = Path(os.environ["SM_MODEL_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    add_code(folder)


if __name__ == "__main__":
    main()
