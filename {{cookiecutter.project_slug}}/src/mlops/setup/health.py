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
        skipped: it was not looked at, and is no failure; `found` says why.
    """

    what: str
    passed: bool
    found: str = ""
    fix: str = ""
    skipped: bool = False


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
        mark = "-" if check.skipped else "✓" if check.passed else "✗"
        lines.append(f"{mark} {check.what}{f': {check.found}' if check.found else ''}")
        if not check.passed and not check.skipped and check.fix:
            lines.append(f"    fix: {check.fix}")
    skipped = sum(check.skipped for check in checks)
    failed = sum(not check.passed and not check.skipped for check in checks)
    left_out = f", {skipped} not looked at" if skipped else ""
    return "\n".join([*lines, f"{len(checks) - failed - skipped} passed, {failed} failed{left_out}"])
