"""Environments and their rules: which branches may enter, and whose review a job waits for before its first step."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.triggers import matches

PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Environment:
    """The rules of an environment; one that nobody made has none.

    Args:
        reviewers: who may approve; one of them suffices.
        branches: patterns of the branches that may enter; all when empty.
        prevent_self_review: whether the one who started the run may not approve it.
    """

    reviewers: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    prevent_self_review: bool = False


@dataclass
class Review:
    """A job that waits before its first step."""

    environment: str
    job: str
    approved: bool | None = None


@dataclass
class Gate:
    """The reviews of one run."""

    rules: dict[str, Environment]
    actor: str
    branch: str
    changed: threading.Condition = field(default_factory=threading.Condition)
    waiting: list[Review] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False

    def enter(self, environment: str, job: str) -> str:
        """Let a job into an environment when its rules are met; wait for its reviewers when it has some.

        Returns:
            Why the job may not enter; empty when it may.
        """
        rules = self.rules.get(environment, Environment())
        if rules.branches and not matches(rules.branches, self.branch):
            return (
                f"Branch {self.branch!r} is not allowed to deploy to {environment} due to environment protection rules"
            )
        if not rules.reviewers:
            return ""
        review = Review(environment, job)
        with self.changed:
            self.waiting.append(review)
            self.changed.notify_all()
            self.changed.wait_for(lambda: review.approved is not None or self.closed)
        return "" if review.approved else f"The deployment to {environment} was rejected or didn't satisfy the rules."

    def held(self) -> list[str]:
        """The environments that jobs wait for."""
        return [review.environment for review in self.waiting]

    def decide(self, environment: str, approved: bool, by: str, comment: str, still: Callable[[], bool]) -> None:
        """Say yes or no to every job that waits for an environment.

        Raises:
            PermissionError: this person may not review here.
            LookupError: no job waits for the environment.
        """
        rules = self.rules.get(environment, Environment())
        if by not in rules.reviewers:
            raise PermissionError(f"{by} is no reviewer of {environment}")
        if rules.prevent_self_review and by == self.actor:
            raise PermissionError(f"{by} started this run and may not approve it")
        with self.changed:
            self.changed.wait_for(lambda: environment in self.held() or not still(), PATIENCE_SECONDS)
            chosen = [review for review in self.waiting if review.environment == environment]
            if not chosen:
                raise LookupError(f"no job of the run waits for {environment}")
            self.waiting = [review for review in self.waiting if review not in chosen]
            state = "approved" if approved else "rejected"
            self.approvals.append({
                "state": state,
                "comment": comment,
                "environments": [{"id": len(environment), "name": environment}],
                "user": {"login": by, "type": "User"},
            })  # fmt: skip
            for review in chosen:
                review.approved = approved
            self.changed.notify_all()

    def close(self) -> None:
        """Turn away whoever still waits."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
