"""Shares made of single requests: who is next, so that the shares come out right."""

from __future__ import annotations

from threading import Lock


class Turns:
    """Takes turns by weight: of any number of requests each name gets its share, to the nearest one."""

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}
        self._lock = Lock()

    def next(self, weights: dict[str, float]) -> str:
        """Whose turn it is."""
        with self._lock:
            for name, weight in weights.items():
                self._credit[name] = self._credit.get(name, 0.0) + weight
            chosen = max(weights, key=lambda name: self._credit[name])
            self._credit[chosen] -= sum(weights.values())
            return chosen
