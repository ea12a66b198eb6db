"""Requests and answers: the contract, and that no request whatever becomes an error of ours."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from {{cookiecutter.package_name}} import inference, rows
from {{cookiecutter.package_name}}.schema import FEATURES

CONTRACT = yaml.safe_load((Path(__file__).parent / "contract.yaml").read_text(encoding="utf-8"))["requests"]
TYPES = {"string": str, "number": int | float, "array": list, "object": dict}


@pytest.fixture(scope="module")
def model(pipeline):
    """The fitted pipeline."""
    return inference.model_fn(str(pipeline.model))


@pytest.fixture
def ask(model):
    """Sends a request through the functions in the order in which the container calls them."""

    def call(body, content_type="application/json", accept="application/json"):
        return inference.output_fn(inference.predict_fn(inference.input_fn(body, content_type), model), accept)

    return call


def content(answer: Any) -> Any:
    """An answer's JSON, or its CSV as an array of lines with numbers where cells hold numbers."""
    text = answer.get_data(as_text=True)
    if answer.mimetype == "application/json":
        return json.loads(text)
    return [[label, float(probability)] for label, probability in csv.reader(text.splitlines())]


def check(found: Any, place: str, wanted: dict[str, Any]) -> None:
    """Hold what stands in a place of an answer against what the contract says."""
    for step in filter(None, place.split(".")):
        found = found[int(step)] if isinstance(found, list) else found[step]
    if "type" in wanted:
        assert isinstance(found, TYPES[wanted["type"]])
    if "keys" in wanted:
        assert sorted(found) == sorted(wanted["keys"])
    if "length" in wanted:
        assert len(found) == wanted["length"]
    if "range" in wanted:
        assert wanted["range"][0] <= found <= wanted["range"][1]
    if "value" in wanted:
        tolerance = wanted.get("tolerance")
        assert found == (pytest.approx(wanted["value"], abs=tolerance) if tolerance else wanted["value"])


@pytest.mark.parametrize("request_", CONTRACT, ids=[each["name"] for each in CONTRACT])
def test_the_contract_is_kept(request_, ask):
    answer = ask(request_["body"], request_["content_type"], request_.get("accept", "application/json"))

    assert answer.status_code == request_.get("status", 200), answer.get_data(as_text=True)
    assert request_.get("message", "") in answer.get_data(as_text=True)
    for place, wanted in request_.get("expect", {}).items():
        check(content(answer), place, wanted)


def test_every_form_of_a_request_gets_the_same_probabilities(ask, model, pipeline):
    test = rows.read(pipeline.prepared / "test.parquet").features
    expected = model.predict_proba(test)[:, 1]
    table = [",".join(map(repr, row)) for row in test.tolist()]
    forms = [
        (json.dumps({"instances": test.tolist()}), "application/json"),
        (json.dumps({"instances": [dict(zip(FEATURES[::-1], row[::-1], strict=True)) for row in test.tolist()]}), None),
        ("\n".join(table), "text/csv"),
        ("\r\n".join([",".join(FEATURES), *table, ""]), "Text/CSV; charset=utf-8"),
        ("\ufeff" + "\n".join([",".join(FEATURES), *table]), "text/csv"),
    ]

    for body, content_type in forms:
        for sent in (body, body.encode()):
            answer = content(ask(sent, content_type or "application/json"))
            np.testing.assert_array_equal([each["probability"] for each in answer["predictions"]], expected)


def test_a_probability_in_csv_is_the_one_in_json(ask):
    body = json.dumps({"instances": [[1.0] * len(FEATURES)]})

    [[label, probability]] = content(ask(body, accept="text/csv"))

    assert content(ask(body))["predictions"] == [{"label": label, "probability": probability}]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv;q=0.9, application/json", "text/csv"),
        ("image/png, text/csv", "text/csv"),
    ],
)
def test_the_first_type_that_can_be_had_is_given(accept, kind, ask):
    answer = ask(json.dumps({"instances": [[1.0] * len(FEATURES)]}), accept=accept)

    assert (answer.status_code, answer.mimetype) == (200, kind)


ODD = [
    "",
    "null",
    "[]",
    "{}",
    "NaN",
    '{"instances": 1}',
    '{"instances": [1]}',
    '{"instances": [[]]}',
    '{"instances": [{}]}',
    '{"instances": [null]}',
    '{"instances": [[' + ", ".join(["NaN"] * 30) + "]]}",
    '{"instances": [[' + ", ".join(["1e999"] * 30) + "]]}",
    '{"instances": [[' + ", ".join(["9" * 4000] * 30) + "]]}",
    '{"instances": [[' + ", ".join(["9" * 5000] * 30) + "]]}",
    '{"instances": [[' + ", ".join(["true"] * 30) + "]]}",
    '{"instances": [[' + ", ".join(['"1"'] * 30) + "]]}",
    '{"instances": [[' + ", ".join(["[1]"] * 30) + "]]}",
    "[" * 100_000,
    "\x00" * 30,
    ",".join(FEATURES),
    ",".join([*FEATURES[:-1], FEATURES[0]]) + "\n" + ",".join(["1"] * 30),
    ",".join(["nan"] * 30),
    '"unclosed',
    "1," * 29 + "\n" * 10 + "2",
    "x" * 200_000,
]


@pytest.mark.parametrize("content_type", ["application/json", "text/csv", "", "text/csv;;", None])
@pytest.mark.parametrize("position", range(len(ODD)))
def test_an_odd_request_is_the_clients_error(position, content_type, ask):
    answer = ask(ODD[position], content_type)

    assert answer.status_code in (400, 415)
    assert 0 < len(json.loads(answer.get_data())["error"]) < 2000


def test_damaged_requests_are_answered_or_refused_but_never_fail(ask):
    draw = random.Random(5)
    for request_ in [each for each in CONTRACT if "status" not in each] * 40:
        body = bytearray(request_["body"].encode())
        for _ in range(draw.randint(1, 5)):
            place = draw.randrange(len(body))
            body[place : place + draw.randint(0, 3)] = bytes(draw.choices(range(256), k=draw.randint(0, 3)))
        answer = ask(bytes(body), request_["content_type"], request_.get("accept", "*/*"))
        assert answer.status_code in (200, 400), bytes(body)
