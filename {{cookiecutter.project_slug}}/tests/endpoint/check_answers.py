"""Checks that `mlops verify` runs against an endpoint after each deployment, between the contract and the load.

Every function here, and in any check_*.py beside this file, whose name begins with `check_` is given an endpoint:

    endpoint.predict(body, content_type="application/json", accept="application/json")
                             an answer, with status, text, json
    endpoint.requests()      the requests of tests/contract.yaml
    endpoint.environment     dev, prod, ...

It returns when all is well, and asserts what has to hold. The standard library and PyYAML are there to import.
"""

import json


def instances(endpoint):
    """The rows of the contract's JSON requests that name their columns and are answered."""
    bodies = [json.loads(each.body) for each in endpoint.requests() if each.status == 200 and each.body[:1] == "{"]
    return [row for body in bodies for row in body["instances"] if isinstance(row, dict)]


def answer(endpoint, rows):
    """The endpoint's predictions for some rows."""
    given = endpoint.predict(json.dumps({"instances": rows}))
    assert given.status == 200, f"status {given.status}: {given.text}"
    return given.json["predictions"]


def check_the_order_of_the_columns_does_not_matter(endpoint):
    rows = instances(endpoint)
    turned = [dict(reversed(row.items())) for row in rows]

    assert answer(endpoint, turned) == answer(endpoint, rows)


def check_a_row_is_answered_the_same_alone_and_among_others(endpoint):
    rows = instances(endpoint)
    together = answer(endpoint, [*rows, *rows])

    for row, expected in zip(rows, together, strict=False):
        (alone,) = answer(endpoint, [row])
        assert alone["label"] == expected["label"]
        assert abs(alone["probability"] - expected["probability"]) < 1e-9
