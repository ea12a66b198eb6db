"""Run one command of the registry in a process of its own, which dies before or after one of its writes.

Arguments: a JSON object with `root`, `command`, `fingerprint`, `model`, and `write` and `when`, which say where to die.
The writes are counted where botocore sends them, so that nothing of the machinery is replaced.
"""

import json
import os
import sys
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
    """Do what the argument says, and print the writes that it took."""
    given = json.loads(sys.argv[1])
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
    print(json.dumps(writes.sent))


main()
