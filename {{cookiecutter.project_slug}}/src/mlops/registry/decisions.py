"""The decisions on a version: what, who, when and why, as the registry keeps them with it."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import boto3

from mlops import actor
from mlops.registry import packages
from mlops.registry.packages import ModelPackage, Status

LIMIT = 1024
"""Characters in ApprovalDescription, as botocore's shape of it says."""

BETWEEN = " | "
"""Between a decision and the ones before it; neither a reason nor a name can hold its bar."""

WHO = 64
"""Characters of a name that are kept."""

REASONS = (LIMIT, 300, 150, 80, 40)
"""To how many characters reasons are shortened until all decisions have room; the last one keeps REASON at least."""

REASON = 200

ARCHIVED = "decision."
"""How the keys in a version's metadata begin under which stands what ApprovalDescription has no room for."""

RESERVED = 11
"""Keys of metadata that stay free: for what the gate, a trial and a verification have to say later."""

REFUSED = re.compile(f"{actor.NOT_ALLOWED.pattern}|=")

LEFT_OUT = "left out"
NOTE = re.compile(r"^(?P<count>[0-9]+) earlier decisions are left out: there is no room for them$")
NOTE_ROOM = 80
"""Characters of the note that says how many decisions even the metadata had no room for."""

DECISION = re.compile(
    r"^(?P<what>approved|rejected) (?P<when>[0-9-]{10}T[0-9:.]{8,15}Z) by (?P<who>.+?)"
    r"(?: in run (?P<run>[0-9]+))?: (?P<why>.*)$"
)


@dataclass(frozen=True)
class Decision:
    """What was decided of a version: by whom, when and why; in which run of GitHub, when its reviewers decided."""

    what: str
    when: datetime | None
    who: str
    why: str
    run: str = ""

    def __str__(self) -> str:
        """One line that `read` reads back."""
        if self.when is None:
            return self.why
        when = self.when.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        where = f" in run {self.run}" if self.run else ""
        return f"{self.what} {when} by {self.who}{where}: {self.why}"


def read(reason: str) -> list[Decision]:
    """The decisions that a version's ApprovalDescription holds, the last one first.

    Text that is not ours, such as a comment given in Studio, becomes one decision without a time and a person.
    """
    return [decision_of(line) for line in reason.split(BETWEEN) if line]


def decision_of(line: str) -> Decision:
    """One decision from its line."""
    if match := DECISION.match(line):
        when = datetime.fromisoformat(match["when"])
        return Decision(match["what"], when, match["who"], match["why"], match["run"] or "")
    return Decision(what=LEFT_OUT if NOTE.match(line) else "", when=None, who="", why=line)


def of(package: ModelPackage) -> list[Decision]:
    """All decisions on a version, those too that its ApprovalDescription had no room for; these come last."""
    archived = (value for key, value in package.metadata.items() if key.startswith(ARCHIVED))
    return [*read(package.reason), *(decision_of(unescaped(value)) for value in archived)]


def record(
    session: boto3.Session,
    package: ModelPackage,
    status: Status,
    by: str,
    why: str,
    run: str = "",
    said: dict[str, str] | None = None,
    gone: Sequence[str] = (),
) -> ModelPackage:
    """Write a decision on a version, before those that are on it.

    Args:
        session: may update the version.
        package: the version.
        status: what was decided.
        by: who did.
        why: the reason.
        run: of GitHub, whose reviewers decided.
        said: what else is written into its metadata, with the decision or not at all.
        gone: keys of its metadata that hold no more.
    """
    # A colon ends a name where decisions are read back, and a run may stand before it.
    who = one_line(by).replace(": ", " ").replace(" in run ", " in ")
    decision = Decision(
        what=status.lower(), when=datetime.now(UTC), who=shortened(who, WHO), why=one_line(why), run=run
    )
    metadata = {**package.metadata, **(said or {})}
    text, left = trail(decision, package.reason, room=packages.MOST_KEYS - RESERVED - len(metadata))
    archived = {key_of(each): escaped(each) for each in left}
    return packages.set_status(session, package, status, text, {**(said or {}), **archived}, gone)


def trail(last: Decision, before: str, room: int) -> tuple[str, list[Decision]]:
    """A decision and those before it, as ApprovalDescription has room for.

    First the reasons are shortened; if that is not enough, whole decisions are left out, the older ones first. The last
    decision stays, and the first approval, by which a champion is known to need no second trial.

    Args:
        last: the decision.
        before: what ApprovalDescription holds.
        room: for how many decisions the metadata has room.

    Returns:
        The text, and the decisions that it leaves to the metadata; of those for which neither has room it says how
        many they are.
    """
    told = [last, *(each for each in read(before) if each.what != LEFT_OUT)]
    lost = sum(int(match["count"]) for line in before.split(BETWEEN) if (match := NOTE.match(line)))
    limit = LIMIT - NOTE_ROOM if lost or room < len(told) else LIMIT
    for most in REASONS:
        lines = [str(replace(last, why=shortened(last.why, max(most, REASON))))]
        lines += [str(replace(each, why=shortened(each.why, most))) for each in told[1:]]
        if len(BETWEEN.join(lines)) <= limit:
            return BETWEEN.join([*lines, *note(lost)]), []
    first = max((at for at, each in enumerate(told) if each.what == "approved"), default=0)
    kept = list(range(len(told)))
    while len(BETWEEN.join(lines[at] for at in kept)) > limit:
        kept.remove(max(at for at in kept if at not in (0, first)))
    left = [each for at, each in enumerate(told) if at not in kept]
    lost += len(left[max(0, room) :])
    return BETWEEN.join([*(lines[at] for at in kept), *note(lost)]), left[: max(0, room)]


def note(lost: int) -> Sequence[str]:
    """What says that decisions were left out; nothing when none were."""
    return [f"{lost} earlier decisions are left out: there is no room for them"] if lost else []


def key_of(decision: Decision) -> str:
    """The key of metadata for a decision: its time, or of a text that is not ours what it says."""
    if decision.when is None:
        return f"{ARCHIVED}{hashlib.sha256(decision.why.encode()).hexdigest()[:12]}"
    return f"{ARCHIVED}{decision.when.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def escaped(decision: Decision) -> str:
    """A decision as metadata takes it: each letter that is refused there as the `=XX` of its bytes."""
    most = len(decision.why)
    while len(text := escaped_text(str(replace(decision, why=shortened(decision.why, most))))) > packages.VALUE_LIMIT:
        most -= 1
    return text


def escaped_text(text: str) -> str:
    """A text without what metadata refuses, and without an `=` of its own."""
    return REFUSED.sub(lambda match: "".join(f"={byte:02X}" for byte in match[0].encode()), text)


def unescaped(value: str) -> str:
    """What `escaped_text` was given."""
    parts = re.split(r"((?:=[0-9A-F]{2})+)", value)
    return "".join(
        bytes.fromhex(part.replace("=", "")).decode("utf-8", errors="replace") if part.startswith("=") else part
        for part in parts
    )


def shortened(text: str, most: int) -> str:
    """A text's beginning, which says by its end that it goes on."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def one_line(text: str) -> str:
    """A person's text without line ends, and without what parts decisions: at its ends it would do so too."""
    return " ".join(text.split()).replace(BETWEEN.strip(), "/")
