"""Run commands of the registry, each in a process of its own, which dies before or after one of its writes.

A line of input is a JSON object with `root`, `command`, `fingerprint`, `model`, and `write` and `when`, which say where
to die; a line of output has the process's exit code, and the writes of one that lived. The processes are forks of one
that has imported everything. The writes are counted where botocore sends them: nothing of the machinery is replaced.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from mlops import aws
from mlops.compute.jobs import Metric, TrainedModel
from mlops.hosting import deployment
from mlops.registry import promotion, registration
from mlops.registry.lineage import Lineage
from mlops.settings import project as settings

KILLED = 9
READS = ("Get", "Head", "List", "Describe", "Assume")
SERVICES = ("sts", "s3", "sagemaker", "cloudwatch", "application-autoscaling")


class Writes:
    """Counts the writes of this process, and ends it at one of them."""

    def __init__(self, number: int | None, when: str) -> None:
        self.number, self.when = number, when
        self.sent: list[str] = []

    def before(self, event_name: str, **_: Any) -> None:
        """Called before a request goes out."""
        operation = event_name.rpartition(".")[2]
        if not operation.startswith(READS):
            self.sent.append(operation)
            self.die("before")

    def after(self, event_name: str, **_: Any) -> None:
        """Called when the answer is there."""
        if not event_name.rpartition(".")[2].startswith(READS):
            self.die("after")

    def die(self, when: str) -> None:
        """End at once, as a runner that is taken away does."""
        if (len(self.sent) - 1, when) == (self.number, self.when):
            os._exit(KILLED)


def main() -> None:
    """Do what each line says, until there are no more."""
    # What botocore reads of its models is then there in every fork; no connection is.
    warm = aws.opened("eu-west-1", aws_access_key_id="nobody", aws_secret_access_key="nothing")
    for service in SERVICES:
        aws.client(warm, service)
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os._exit(in_a_fork(json.loads(line), writing))
        os.close(writing)
        with os.fdopen(reading) as answer:
            sent = json.loads(answer.read() or "[]")
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"code": code, "sent": sent}), flush=True)


def in_a_fork(given: dict[str, Any], answer: int) -> int:
    """Run a command, and write what it sent; the exit code."""
    try:
        os.write(answer, json.dumps(sent_by(given)).encode())
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def sent_by(given: dict[str, Any]) -> list[str]:
    """Do what is asked for: the writes that it took."""
    writes = Writes(given["write"], given["when"])
    opened = aws.opened

    def watched(*arguments: Any, **named: Any) -> Any:
        session = opened(*arguments, **named)
        session.events.register("before-send", writes.before)
        session.events.register("after-call", writes.after)
        return session

    aws.opened = watched
    project = settings.load(Path(given["root"]))
    _, dev, prod = project.environments
    match given["command"]:
        case "register":
            model = TrainedModel(**{**given["model"], "metrics": {"roc_auc": Metric(0.99), "log_loss": Metric(0.1)}})
            lineage = Lineage(given["fingerprint"], "0" * 40, "feature/x", "0" * 32, {})
            registration.register(project, project.environments[0], model, lineage, "", "somebody")
        case "promote":
            promotion.promote(project, prod, given["fingerprint"])
        case "deploy":
            deployment.deploy(project, dev, lambda line: None)
        case "rollback":
            deployment.rollback(project, dev, lambda line: None)
    return writes.sent


main()
