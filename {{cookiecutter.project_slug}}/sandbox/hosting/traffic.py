"""Where an endpoint's requests go: to which fleet while a deployment shifts them, and to which variant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sandbox.hosting.fleet import Fleet
from sandbox.hosting.turns import Turns
from sandbox.sandbox import Sandbox


@dataclass
class Traffic:
    """An endpoint's fleets: the one that serves, and during a deployment the one that comes with its share."""

    fleet: Fleet
    coming: Fleet | None = None
    share: float = 0.0
    fleets: Turns = field(default_factory=Turns)
    variants: Turns = field(default_factory=Turns)
    shadows: Turns = field(default_factory=Turns)

    def choose(self) -> Fleet:
        """The fleet that answers the next request."""
        coming, share = self.coming, self.share
        if coming is None or share <= 0:
            return self.fleet
        return coming if self.fleets.next({"old": 1 - share, "new": share}) == "new" else self.fleet

    def shift(self, share: float) -> None:
        """Give the coming fleet another share, from the next request on."""
        self.share, self.fleets = share, Turns()

    def finish(self) -> None:
        """The coming fleet is the one from now on; the old one ends."""
        old, self.fleet = self.fleet, self.coming or self.fleet
        self.coming, self.share = None, 0.0
        old.stop()

    def abandon(self) -> None:
        """All requests go to the old fleet again; the coming one ends."""
        coming, self.coming, self.share = self.coming, None, 0.0
        if coming:
            coming.stop()


_LIVE: dict[tuple[Path, str], Traffic] = {}


def of(sandbox: Sandbox, arn: str) -> Traffic | None:
    """The traffic of an endpoint, or None when its servers were not started since the sandbox was."""
    return _LIVE.get((sandbox.state, arn))


def open_to(sandbox: Sandbox, arn: str, fleet: Fleet) -> Traffic:
    """Send an endpoint's requests to a fleet."""
    return _LIVE.setdefault((sandbox.state, arn), Traffic(fleet))


def close(sandbox: Sandbox, arn: str) -> None:
    """Take an endpoint's fleets down."""
    traffic = _LIVE.pop((sandbox.state, arn), None)
    if traffic:
        traffic.abandon()
        traffic.fleet.stop()


def close_all(sandbox: Sandbox) -> None:
    """Take all fleets of a sandbox down."""
    for state, arn in list(_LIVE):
        if state == sandbox.state:
            close(sandbox, arn)
