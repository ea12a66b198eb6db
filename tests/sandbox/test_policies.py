"""Policies are weighed as IAM weighs them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.policies import Decision, Request, UnknownOperator, decide

ARN = "arn:aws:s3:::bucket/models/a"


def _decided(*statements: dict[str, Any], **request: Any) -> Decision:
    asked = {"action": "s3:GetObject", "resource": ARN, **request}
    return decide([{"Statement": list(statements)}], Request(**asked))


def _allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **more}


@pytest.mark.parametrize(
    ("statement", "decision"),
    [
        (_allow(), Decision.ALLOWED),
        (_allow(Action="S3:getobject"), Decision.ALLOWED),
        (_allow(Action=["s3:Put*", "s3:Get*"]), Decision.ALLOWED),
        (_allow(Action="s3:Get?bject"), Decision.ALLOWED),
        (_allow(Action="s3:PutObject"), Decision.SILENT),
        (_allow(Resource="arn:aws:s3:::bucket/models/*"), Decision.ALLOWED),
        (_allow(Resource="arn:aws:s3:::BUCKET/models/*"), Decision.SILENT),
        (_allow(Resource="arn:aws:s3:::bucket"), Decision.SILENT),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, Decision.ALLOWED),
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, Decision.SILENT),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::bucket/*"}, Decision.SILENT),
    ],
)
def test_actions_and_resources_match_as_in_iam(statement, decision):
    assert _decided(statement) is decision


def test_a_denial_wins():
    assert _decided(_allow(), {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}) is Decision.DENIED


@pytest.mark.parametrize(
    ("principal", "decision"),
    [
        ("*", Decision.ALLOWED),
        ({"AWS": "*"}, Decision.ALLOWED),
        ({"AWS": "111111111111"}, Decision.ALLOWED),
        ({"AWS": ["arn:aws:iam::9:root", "arn:aws:iam::111111111111:root"]}, Decision.ALLOWED),
        ({"AWS": "222222222222"}, Decision.SILENT),
        ({"Service": "arn:aws:iam::111111111111:root"}, Decision.SILENT),
    ],
)
def test_a_principal_is_named_by_kind_and_name(principal, decision):
    known = frozenset({("AWS", "arn:aws:iam::111111111111:root")})
    assert _decided(_allow(Principal=principal), principals=known) is decision


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"StringEquals": {"k": "a"}}, True),
        ({"StringEquals": {"K": ["x", "a"]}}, True),
        ({"StringEquals": {"k": "A"}}, False),
        ({"StringEqualsIgnoreCase": {"k": "A"}}, True),
        ({"StringEquals": {"absent": "a"}}, False),
        ({"StringEqualsIfExists": {"absent": "a"}}, True),
        ({"StringEqualsIfExists": {"k": "b"}}, False),
        ({"StringNotEquals": {"k": "b"}}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, False),
        ({"StringNotEquals": {"absent": "a"}}, True),
        ({"StringLike": {"long": "repo:acme/*:environment:?rod"}}, True),
        ({"StringNotLike": {"long": "repo:*"}}, False),
        ({"ArnLike": {"arn": "arn:aws:iam::*:role/churn-*"}}, True),
        ({"ArnNotLike": {"arn": "arn:aws:iam::*:role/churn-*"}}, False),
        ({"Bool": {"yes": "true"}}, True),
        ({"Bool": {"yes": False}}, False),
        ({"NumericLessThanEquals": {"number": "5"}}, True),
        ({"NumericGreaterThan": {"number": 5}}, False),
        ({"Null": {"absent": "true"}}, True),
        ({"Null": {"k": "true"}}, False),
        ({"ForAllValues:StringEquals": {"several": ["a", "b", "c"]}}, True),
        ({"ForAllValues:StringEquals": {"several": ["a"]}}, False),
        ({"ForAllValues:StringEquals": {"absent": ["a"]}}, True),
        ({"ForAnyValue:StringEquals": {"several": ["b"]}}, True),
        ({"ForAnyValue:StringEquals": {"absent": ["b"]}}, False),
        ({"StringEquals": {"k": "a"}, "Bool": {"yes": "false"}}, False),
    ],
)
def test_conditions_hold_as_in_iam(condition, holds):
    context = {
        "k": ["a"],
        "long": ["repo:acme/churn:environment:prod"],
        "arn": ["arn:aws:iam::1:role/churn-dev"],
        "yes": ["true"],
        "number": ["5"],
        "several": ["a", "b"],
    }
    expected = Decision.ALLOWED if holds else Decision.SILENT
    assert _decided(_allow(Condition=condition), context=context) is expected


def test_a_variable_in_a_resource_stands_for_the_requests_value():
    own = _allow(Resource="arn:aws:s3:::bucket/${aws:PrincipalAccount}/*")
    context = {"aws:PrincipalAccount": ["111111111111"]}
    assert _decided(own, resource="arn:aws:s3:::bucket/111111111111/x", context=context) is Decision.ALLOWED
    assert _decided(own, resource="arn:aws:s3:::bucket/222222222222/x", context=context) is Decision.SILENT


def test_an_operator_that_it_was_not_taught_is_an_error():
    with pytest.raises(UnknownOperator, match="DateGreaterThan"):
        _decided(_allow(Condition={"DateGreaterThan": {"aws:CurrentTime": "2026-01-01"}}))
