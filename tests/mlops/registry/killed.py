"""Run one command of the registry in a process of its own, which dies before or after one of its writes.

Arguments: a JSON object with `root`, `command`, `fingerprint`, `model`, and `write` and `when`, which say where to die.
The writes are counted where botocore sends them, so that nothing of the machinery is replaced.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from mlops import aws, deployment, promotion, registration, settings
from mlops.jobs import Metric, TrainedModel
from mlops.lineage import Lineage

KILLED = 9


class Death:
    """Ends the process at one of its writes."""

    def __init__(self, writes: list[str], number: int, when: str) -> None:
        self.writes, self.number, self.when, self.count = writes, number, when, -1

    def before(self, event_name: str, **_: Any) -> None:
        """Called before a request goes out."""
        if event_name.rpartition(".")[2] in self.writes:
            self.count += 1
            if self.when == "before" and self.count == self.number:
                os._exit(KILLED)

    def after(self, event_name: str, **_: Any) -> None:
        """Called when the answer is there."""
        if event_name.rpartition(".")[2] in self.writes and self.when == "after" and self.count == self.number:
            os._exit(KILLED)


def main() -> None:
    """Do what the argument says."""
    given = json.loads(sys.argv[1])
    if given["write"] is not None:
        death = Death(given["writes"], given["write"], given["when"])
        opened = aws.opened

        def watched(*arguments: Any, **named: Any) -> Any:
            session = opened(*arguments, **named)
            session.events.register("before-send", death.before)
            session.events.register("after-call", death.after)
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
            deployment.deploy(project, dev, print)
        case "rollback":
            deployment.rollback(project, dev, print)


main()
