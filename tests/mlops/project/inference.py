"""Answers with the label that training wrote into the model; one labelled `raises` fails."""

import json
from pathlib import Path


class Refused:
    """A response that passes through the container with its status."""

    def __init__(self, body, status):
        self.response, self.status, self.mimetype = body, status, "application/json"


def model_fn(model_dir):
    return Path(model_dir, "label").read_text()


def transform_fn(model, body, content_type, accept):
    if model == "raises":
        raise RuntimeError("the model has no answer")
    if "bad" in str(body):
        return Refused(json.dumps({"error": "column a is missing"}), 400)
    return json.dumps({"label": model, "score": 0.5}), "application/json"
