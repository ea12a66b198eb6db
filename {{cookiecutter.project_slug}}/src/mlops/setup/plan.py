"""A plan: what a project needs outside its folder, what is there of it, what is left to do; shown, asked for, done.

GitHub and AWS are a side each. A side gives its steps (`mlops bootstrap`), its checks (`mlops doctor`) and its
belongings (`mlops destroy`), and everything that a person sees of them is the same.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlops.display import Progress
from mlops.errors import BadInput, Failure

Deed = Literal["make", "change", "keep", "leave"]

SIGNS: dict[Deed, str] = {"make": "+ make", "change": "~ change", "keep": "= there", "leave": "! left alone"}


@dataclass(frozen=True)
class Step:
    """One thing that a project needs, and what is left to do for it.

    Args:
        what: the thing, such as "environment prod-approval".
        deed: `make` it; `change` it, it is the project's own and not as wanted; `keep` it, it is as wanted; `leave` it
            alone, it is not as wanted and somebody else's.
        detail: how it will be or is; of what is left alone, what it lacks.
        act: makes or changes it. It may be called for a thing that a killed run has half made. What it returns is
            what only the deed could tell, and is shown.
    """

    what: str
    deed: Deed
    detail: str = ""
    act: Callable[[], str | None] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Outcome:
    """How a step ended: `done` is false of what was left alone or could not be had; `said` says more."""

    what: str
    deed: Deed
    detail: str
    done: bool
    said: str = ""


class Unavailable(Failure):
    """What this account can not have: the message says why. The steps after it are still done."""


def deed(there: bool, right: bool, own: bool) -> Deed:
    """What to do for a thing: what is somebody else's is never changed."""
    if not there:
        return "make"
    return "keep" if right else "change" if own else "leave"


def planned(steps: Sequence[Step]) -> list[Outcome]:
    """A plan that is only shown."""
    return [Outcome(each.what, each.deed, each.detail, each.deed == "keep") for each in steps]


def shown(steps: Sequence[Step]) -> str:
    """A plan as a person reads it: one line a step."""
    wide = max((len(each.what) for each in steps), default=0)
    signs = max(map(len, SIGNS.values()))
    return "\n".join(
        f"  {SIGNS[each.deed].ljust(signs)}  {each.what.ljust(wide)}  {each.detail}".rstrip() for each in steps
    )


def left_to_do(steps: Sequence[Step]) -> list[Step]:
    """The steps that act."""
    return [each for each in steps if each.act is not None and each.deed in ("make", "change")]


def agreed(question: str, yes: bool) -> bool:
    """Whether the person who sees the plan wants it.

    Raises:
        BadInput: there is nobody to ask.
    """
    if yes:
        return True
    return answer(f"{question} [y/N] ", "--yes, or --plan to see the plan only").strip().lower() in ("y", "yes")


def answer(question: str, instead: str) -> str:
    """What a person types.

    Args:
        question: what is asked, on standard error: standard output is for the result.
        instead: the options that make asking needless.

    Raises:
        BadInput: there is no terminal.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise BadInput(f"this command asks before it acts, and there is no terminal to ask on: give {instead}")
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return input()
    except EOFError:
        return ""


def summary(outcomes: Sequence[Outcome]) -> str:
    """What was done, with what only the deeds could tell."""
    acted = [each for each in outcomes if each.done and each.deed != "keep"]
    told = [f"  {each.what}: {each.said}" for each in acted if each.said]
    return "\n".join([f"done: {len(acted)} things" if acted else "nothing was left to do", *told])


def carried_out(steps: Sequence[Step], told: Progress) -> list[Outcome]:
    """Do every step that is left to do, in order.

    What fails ends the run, and the same command carries on; only what this account can not have is passed over.

    Args:
        steps: the plan.
        told: hears of each deed when it is done.
    """
    outcomes = []
    for step in steps:
        said, done = "", step.deed != "leave"
        if step.act is not None and step.deed in ("make", "change"):
            try:
                said = step.act() or ""
            except Unavailable as error:
                said, done = str(error), False
            told(f"{'✓' if done else '✗'} {step.what}")
        outcomes.append(Outcome(step.what, step.deed, step.detail, done, said))
    return outcomes
