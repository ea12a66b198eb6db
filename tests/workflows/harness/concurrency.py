"""Concurrency groups of jobs: one job of a group runs at a time, and the others wait as their `concurrency` says.

Source: docs.github.com, Workflow syntax, "jobs.<job_id>.concurrency". A job that would be cancelled while it runs is a
problem of its run here, and one that is replaced while it waits fails.
"""

import threading
import time
from dataclasses import dataclass, field

from harness.runs import Run, so_far

PATIENCE_SECONDS = 240


@dataclass(eq=False)
class Place:
    """A job's place in the line of its group."""

    run: Run
    job: str
    replaced: bool = False

    def left(self) -> bool:
        """Whether the job has ended."""
        if self.run.finished or self.run.cancelled:
            return True
        job = so_far(self.run).get(self.job)
        return job is not None and job.result != "not-run"


@dataclass
class Groups:
    """The groups of a repository: the first of each line runs, the others wait.

    Args:
        told: each group's jobs in the order of what happened: `waits`, `enters`, `leaves`, with the run's id.
    """

    lines: dict[str, list[Place]] = field(default_factory=dict)
    told: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, run: Run, job: str, group: str, queue: str, cancels: bool) -> str:
        """Let a job into its group, at once or when its turn comes.

        Args:
            run: the job's run.
            job: its name.
            group: the group's name, in which case does not matter.
            queue: max, or anything else for one job that waits, which the next one replaces.
            cancels: whether it cancels the one that runs.

        Returns:
            Why it may not enter; empty when it may.
        """
        place, name = Place(run, job), group.lower()
        with self.changed:
            line = self._line(name)
            if cancels and line:
                line[0].run.problems.append(f"GitHub would cancel {line[0].job} here for {job} of run {run.id}")
            for waiting in line[1:] if queue != "max" else []:
                waiting.replaced = True
            line.append(place)
            if line[0] is not place:
                self._tell(name, "waits", run)
            while place in self._line(name) and line[0] is not place:
                if place.replaced:
                    line.remove(place)
                    return f"Canceling since a higher priority waiting request for {group} exists"
                self.changed.wait(0.05)
            self._tell(name, "enters", run)
        return ""

    def wait_until(self, group: str, what: str, run: Run | None = None) -> None:
        """Wait until something has happened in a group, by a certain run or any.

        Raises:
            TimeoutError: it does not happen.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self.changed:
            while not any(
                each == what and (run is None or run.id == number) for each, number in self.told.get(group, [])
            ):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"nobody {what} in {group}: {self.told}")
                self.changed.wait(0.5)

    def _line(self, name: str) -> list[Place]:
        """The line of a group, without those whose jobs have ended. It is looked at only when somebody asks."""
        line = self.lines.setdefault(name, [])
        for place in [each for each in line if each.left()]:
            line.remove(place)
            self._tell(name, "leaves", place.run)
        return line

    def _tell(self, name: str, what: str, run: Run) -> None:
        self.told.setdefault(name, []).append((what, run.id))
        self.changed.notify_all()
