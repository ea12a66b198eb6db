"""Approval and rejection of model packages, with who, when and why written on the package."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import boto3

from mlops import aws
from mlops.contest import trial
from mlops.errors import BadInput, Failure, NotFound
from mlops.registry import packages
from mlops.registry.packages import ModelPackage, Status
from mlops.settings.project import Environment, Settings

LIMIT = 1024
"""Characters in ApprovalDescription, as botocore's shape of it says."""

BETWEEN = " | "
"""Between a decision and the ones before it; neither a reason nor a name can hold its bar."""

WHO = 64
"""Characters of a name that are kept."""

REASONS = (LIMIT, 300, 150, 80, 40)
"""To how many characters reasons are shortened until all decisions have room; the last one keeps REASON at least."""

REASON = 200

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
        """One line that `decisions` reads back."""
        if not self.what:
            return self.why
        when = "" if self.when is None else self.when.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        where = f" in run {self.run}" if self.run else ""
        return f"{self.what} {when} by {self.who}{where}: {self.why}"


def decisions(reason: str) -> list[Decision]:
    """The decisions that a version's ApprovalDescription holds, the last one first.

    Text that is not ours, such as a comment given in Studio, becomes one decision without a time and a person.
    """
    return [decision_of(line) for line in reason.split(BETWEEN) if line]


def decision_of(line: str) -> Decision:
    """One decision from its line."""
    if match := DECISION.match(line):
        when = datetime.fromisoformat(match["when"])
        return Decision(match["what"], when, match["who"], match["why"], match["run"] or "")
    return Decision(what="", when=None, who="", why=line)


def approve(
    settings: Settings,
    environment: Environment,
    by: str,
    why: str,
    version: int | None = None,
    only_waiting: bool = False,
    run: str = "",
) -> ModelPackage:
    """Approve a waiting version, so that it can be deployed. Approving it again changes nothing.

    Args:
        settings: the project.
        environment: whose group the version is in.
        by: who decides.
        why: the reason.
        version: its number; the newest when None. A rejected version is approved by its number only.
        only_waiting: leave a version alone that was decided on: who reviews a run has seen it wait, however long ago.
        run: of GitHub, whose reviewers decide, and which deploys what they approve.

    Raises:
        NotFound: there is no such version, or the newest one does not wait.
        NotApproved: it would be champion, and has not served as challenger as the settings ask.
        BadInput: who or why is empty.
        Failure: it does not wait any more, and only one that waits is meant.
    """
    return decide(settings, environment, "Approved", by, why, version, only_waiting, run)


def reject(
    settings: Settings,
    environment: Environment,
    by: str,
    why: str,
    version: int | None = None,
    only_waiting: bool = False,
    run: str = "",
) -> ModelPackage:
    """Reject a version, so that it is never deployed again; see `approve`."""
    return decide(settings, environment, "Rejected", by, why, version, only_waiting, run)


def decide(
    settings: Settings,
    environment: Environment,
    status: Status,
    by: str,
    why: str,
    version: int | None,
    only_waiting: bool = False,
    run: str = "",
) -> ModelPackage:
    """Set the status of the version that was asked for, unless it has it."""
    by, why = one_line(by), one_line(why)
    for name, value in [("--by", by), ("--reason", why)]:
        if not value:
            raise BadInput(f"{name} is empty; say who decides and why, in one line each")
    session = aws.session(settings, environment, "approve")
    package = chosen(session, environment, status, version)
    if package.status == status:
        return package
    if only_waiting and package.status != "PendingManualApproval":
        last = next(map(str, decisions(package.reason)), "nobody said why")
        raise Failure(
            f"{package.name} was decided meanwhile ({package.status}; {last}); "
            f"to decide on it again: {again(environment, status, package)} --by WHO --reason WHY"
        )
    if status == "Approved":
        packages.refuse_unmade(package)
    if status == "Approved" and environment.is_champion and not was_approved(package):
        why = f"{why} ({trial.refuse_unproven(session, environment, package)})"
    return record(session, package, status, by, why, run)


def was_approved(package: ModelPackage) -> bool:
    """Whether a version was approved before: to go back to a champion takes no second trial."""
    return any(decision.what == "approved" for decision in decisions(package.reason))


def chosen(session: boto3.Session, environment: Environment, status: Status, version: int | None) -> ModelPackage:
    """The version that is decided on.

    Without a number it is the newest and no other: were an older waiting one taken instead, running the same
    command twice would decide on two versions.
    """
    group = environment.group
    if version is not None:
        return packages.of_version(session, group, version)
    newest = packages.newest(session, group)
    if newest is None:
        raise NotFound(f"{group} is empty; mlops promote --to {environment.name} brings a model into it")
    if newest.status not in ("PendingManualApproval", status):
        raise NotFound(
            f"{newest.name} is the newest and {newest.status}, so none waits; "
            f"to decide on it again: {again(environment, status, newest)}"
        )
    return newest


def again(environment: Environment, status: Status, package: ModelPackage) -> str:
    """The command that decides on a version by its number."""
    verb = "approve" if status == "Approved" else "reject"
    return f"mlops {verb} {environment.options} --version {package.version}"


def record(
    session: boto3.Session, package: ModelPackage, status: Status, by: str, why: str, run: str = ""
) -> ModelPackage:
    """Write a decision on a version, before those that are on it."""
    # A colon ends a name where decisions are read back, and a run may stand before it.
    who = one_line(by).replace(": ", " ").replace(" in run ", " in ")
    decision = Decision(
        what=status.lower(), when=datetime.now(UTC), who=shortened(who, WHO), why=one_line(why), run=run
    )
    return packages.set_status(session, package, status, trail(decision, package.reason))


def trail(last: Decision, before: str) -> str:
    """A decision and those before it, as ApprovalDescription has room for.

    First the reasons are shortened; if that is not enough, whole decisions are left out, the older ones first. The last
    decision stays, and the first approval, by which a champion is known to need no second trial.
    """
    told = [last, *decisions(before)]
    for most in REASONS:
        lines = [str(replace(last, why=shortened(last.why, max(most, REASON))))]
        lines += [str(replace(each, why=shortened(each.why, most))) for each in told[1:]]
        if len(BETWEEN.join(lines)) <= LIMIT:
            return BETWEEN.join(lines)
    first = max((at for at, each in enumerate(told) if each.what == "approved"), default=0)
    kept = list(range(len(told)))
    while len(BETWEEN.join(lines[at] for at in kept)) > LIMIT:
        kept.remove(max(at for at in kept if at not in (0, first)))
    return BETWEEN.join(lines[at] for at in kept)


def shortened(text: str, most: int) -> str:
    """A text's beginning, which says by its end that it goes on."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def one_line(text: str) -> str:
    """A person's text without line ends, and without what parts decisions: at its ends it would do so too."""
    return " ".join(text.split()).replace(BETWEEN.strip(), "/")
