"""What came of an endpoint's checks, in its line of the table: so that an event that comes twice does nothing."""

import time
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.exceptions import ClientError

from mlops import aws
from mlops.checks import unattended

LONGEST_TEXT = 4000
"""Characters of a result that are kept."""


@dataclass(frozen=True)
class Result:
    """What came of the checks.

    Attributes:
        of: what was checked; see `lambdas.checks.identity`.
        passed: whether the endpoint keeps what was agreed; None when it could not be checked.
        said: the same in words.
        told: who knows it already.
    """

    of: str
    passed: bool | None
    said: str
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """The results of an endpoint."""

    session: boto3.Session
    table: str
    endpoint: str

    def line(self) -> dict[str, Any]:
        """All that the table has of the endpoint."""
        with aws.explained("GetItem", self.table):
            answer = aws.client(self.session, "dynamodb").get_item(
                TableName=self.table, Key={"endpoint": {"S": self.endpoint}}, ConsistentRead=True
            )
        return unattended.plain(answer.get("Item", {}))

    def known(self, line: dict[str, Any], of: str) -> Result | None:
        """The result of what is to be checked; None when it is not known."""
        kept = line.get("result")
        if not isinstance(kept, dict) or kept.get("of") != of:
            return None
        told = tuple(sorted(map(str, kept.get("told") or ())))
        return Result(of, passed=kept.get("passed"), said=str(kept.get("said")), told=told)

    def claim(self, of: str, seconds: float) -> bool:
        """Note who checks and tells, for as long as this function may run; False when another one does already.

        Who was ended in the middle is not waited for longer than that.
        """
        now = int(time.time())
        return self.update(
            "SET #begun = :of, #until = :until",
            {"#begun": "begun", "#until": "until"},
            {":of": {"S": of}, ":now": number(now), ":until": number(now + int(seconds) + 1)},
            "attribute_not_exists(#begun) OR #begun <> :of OR #until < :now",
        )

    def release(self, of: str) -> None:
        """Let the next event begin at once, unless it has begun with something else."""
        names = {"#begun": "begun", "#until": "until"}
        self.update("SET #until = :none", names, {":none": number(0), ":of": {"S": of}}, "#begun = :of")

    def keep(self, result: Result) -> None:
        """Keep what came of the checks."""
        passed = {"NULL": True} if result.passed is None else {"BOOL": result.passed}
        now = {"S": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        said = {"S": result.said[:LONGEST_TEXT]}
        kept = {"of": {"S": result.of}, "passed": passed, "said": said, "at": now}
        self.update("SET #result = :kept", {"#result": "result"}, {":kept": {"M": kept}})

    def told(self, result: Result, who: str) -> Result:
        """Note that somebody knows it."""
        names = {"#result": "result", "#told": "told"}
        told = tuple(sorted({*result.told, who}))
        # ADD takes no attribute within another one (DynamoDB's API reference, UpdateItem); only who has begun is here.
        self.update("SET #result.#told = :told", names, {":told": {"SS": list(told)}})
        return replace(result, told=told)

    def update(self, expression: str, names: dict[str, str], values: dict[str, Any], condition: str = "") -> bool:
        """Change the endpoint's line; False when a condition does not hold."""
        given = {"ConditionExpression": condition} if condition else {}
        with aws.explained("UpdateItem", self.table):
            try:
                aws.client(self.session, "dynamodb").update_item(
                    TableName=self.table,
                    Key={"endpoint": {"S": self.endpoint}},
                    UpdateExpression=expression,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    **given,
                )
            except ClientError as error:
                if aws.code_of(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True


def number(value: int) -> dict[str, str]:
    """A number as DynamoDB writes it."""
    return {"N": str(value)}
