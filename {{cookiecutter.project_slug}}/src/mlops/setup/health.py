"""An examination: one line for each requirement, passed or failed, with what mends it."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlops.setup.plan import Step


@dataclass(frozen=True)
class Check:
    """A requirement.

    Args:
        what: the thing that is required.
        passed: whether it is met.
        found: what is there.
        fix: what mends it, such as a command; empty when there is nothing to mend.
    """

    what: str
    passed: bool
    found: str = ""
    fix: str = ""


def of_steps(steps: Sequence[Step], command: str) -> list[Check]:
    """Steps of a plan as requirements: what a plan would keep is met.

    Args:
        steps: a side's.
        command: carries the plan out.
    """
    fixes = {"make": command, "change": command, "leave": f"{command} --adopt, or by hand: it is not the project's own"}
    return [Check(each.what, each.deed == "keep", each.detail, fixes.get(each.deed, "")) for each in steps]


def shown(checks: Sequence[Check]) -> str:
    """Checks as a person reads them."""
    lines = []
    for check in checks:
        lines.append(f"{'✓' if check.passed else '✗'} {check.what}{f': {check.found}' if check.found else ''}")
        if not check.passed and check.fix:
            lines.append(f"    fix: {check.fix}")
    failed = sum(not check.passed for check in checks)
    return "\n".join([*lines, f"{len(checks) - failed} passed, {failed} failed"])
