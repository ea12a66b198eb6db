"""The clients of the demo: what they ask, and how they go on asking while something else happens."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from mlops.checks import contract
from mlops.errors import BadInput, Failure
from mlops.hosting import invocations
from mlops.settings.project import Environment, Settings

BATCH_ROWS = 12
"""Rows in a request of the traffic: more than in any request of the contract, so that only traffic finds the fault."""


def requests(root: Path, rows: int) -> str:
    """A CSV request with some rows: those of the first CSV request of the contract that is to be answered, in turn.

    Raises:
        BadInput: the contract has none.
    """
    for request in contract.read(root / contract.FILE):
        if request.content_type == "text/csv" and request.status == 200:
            heading, *cases = request.body.strip().splitlines()
            return "\n".join([heading, *islice(cycle(cases), rows)] if cases else [heading] * rows) + "\n"
    raise BadInput(
        "tests/contract.yaml has no text/csv request with status 200; the demo sends its rows to the endpoint"
    )


@contextmanager
def traffic(project: Settings, target: Environment) -> Iterator[None]:
    """Ask an endpoint again and again while something else goes on, whatever it answers."""
    over = threading.Event()
    body = requests(project.root, BATCH_ROWS).encode()

    def ask() -> None:
        while not over.wait(0.05):
            with suppress(Failure, ClientError, BotoCoreError):
                invocations.predict(project, target, body, "text/csv", "text/csv")

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    try:
        yield
    finally:
        over.set()
        client.join()
