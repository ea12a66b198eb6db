"""Answers to requests: model_fn, input_fn, predict_fn and output_fn, as SageMaker's scikit-learn container calls them.

A request that is wrong is answered with 400 and what is wrong with it. In that container every exception becomes a 500,
which would set off the alarm that rolls deployments back; so a refusal is a response that is passed on, not raised.
"""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from werkzeug.wrappers import Response  # the container serves with Flask, which builds on it

from {{cookiecutter.package_name}}.request import CSV, JSON, BadRequest, media_type, parse
from {{cookiecutter.package_name}}.schema import LABELS, THRESHOLD

Floats = npt.NDArray[np.float64]


def model_fn(model_dir: str) -> Any:
    """Load the fitted pipeline; called once for each process that serves."""
    return joblib.load(Path(model_dir) / "model.joblib")


def input_fn(body: bytes | str, content_type: str) -> Floats | Response:
    """Read a request into an array of shape (rows, 30), or refuse it; `request.parse` says what is allowed."""
    try:
        return parse(body, content_type)
    except BadRequest as problem:
        return refuse(str(problem), problem.status)


def predict_fn(rows: Floats | Response, model: Any) -> Floats | Response:
    """Probability of malignant for rows of shape (rows, 30): shape (rows,). A refusal passes."""
    if isinstance(rows, Response):
        return rows
    probabilities: Floats = model.predict_proba(rows)[:, 1]
    return probabilities


def output_fn(probabilities: Floats | Response, accept: str | None) -> Response:
    """Write the answer: `{"predictions": [{"label": ..., "probability": ...}]}`, or CSV lines `label,probability`."""
    if isinstance(probabilities, Response):
        return probabilities
    answers = [{"label": LABELS[int(value >= THRESHOLD)], "probability": float(value)} for value in probabilities]
    for kind in [media_type(part) for part in (accept or JSON).split(",")]:
        if kind == CSV:
            text = "".join(f"{answer['label']},{answer['probability']!r}\n" for answer in answers)
            return Response(text, mimetype=CSV)
        if kind in (JSON, "application/*", "*/*"):
            return Response(json.dumps({"predictions": answers}), mimetype=JSON)
    return refuse(f"accept is {accept!r}; {JSON} or {CSV} is allowed", 406)


def refuse(problem: str, status: int) -> Response:
    """An answer that says what is wrong with a request."""
    return Response(json.dumps({"error": problem}), status=status, mimetype=JSON)
