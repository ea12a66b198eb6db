"""A removal: everything that the project owns outside its folder, listed, confirmed by the project's name, removed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlops.display import Progress
from mlops.errors import BadInput
from mlops.settings.project import Settings
from mlops.setup import plan


@dataclass(frozen=True)
class Belonging:
    """A thing that the project owns.

    Args:
        what: the thing.
        stays: why it stays, and how it goes by hand; empty when it is removed.
        remove: removes it; it may be called for a thing that is gone already.
    """

    what: str
    stays: str = ""
    remove: Callable[[], None] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Removed:
    """A thing that was or will be removed, or why it stays."""

    what: str
    removed: bool
    stays: str = ""


def shown(belongings: Sequence[Belonging]) -> str:
    """Belongings as a person reads them."""
    if not belongings:
        return "there is nothing of the project's to remove"
    return "\n".join(
        f"  {'= stays ' if each.remove is None else '- remove'}  {each.what}{f': {each.stays}' if each.stays else ''}"
        for each in belongings
    )


def confirmed(settings: Settings, given: str) -> None:
    """See that whoever removes a project knows which.

    Args:
        settings: the project.
        given: its name on the command line; asked for when empty.

    Raises:
        BadInput: it is another name, or there is nobody to ask.
    """
    name = given or plan.answer(f"Type the name of the project to remove all this: {settings.project}? ", "--confirm")
    if name.strip() != settings.project:
        raise BadInput(f"--confirm is {name.strip()!r}; this project is {settings.project}: nothing was removed")


def planned(belongings: Sequence[Belonging]) -> list[Removed]:
    """A removal that is only shown."""
    return [Removed(each.what, False, each.stays) for each in belongings]


def carried_out(belongings: Sequence[Belonging], told: Progress) -> list[Removed]:
    """Remove what can be removed, in order; what fails ends the run, and the same command carries on."""
    removed = []
    for each in belongings:
        if each.remove is not None:
            each.remove()
            told(f"removed: {each.what}")
        removed.append(Removed(each.what, each.remove is not None, each.stays))
    return removed
