"""The report in Markdown, as GitHub shows it in a summary and in a comment."""

from typing import Any

from mlops import github
from mlops.compute.durations import JobTime
from mlops.quality import verdicts
from mlops.quality.thresholds import Verdict
from mlops.reporting.report import Metric, Report, Served, metrics_of, parameters_of
from mlops.settings.project import FILE

SAME = "the same"
NOTHING = "-"


def markdown(report: Report) -> str:
    """The report as GitHub shows it."""
    parts = [
        heading(report),
        metrics_table(report),
        comparison(report),
        data_table(report),
        changes(report),
        jobs_table(report),
        footer(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(report: Report) -> str:
    """What model it is about, and where it is."""
    title = f"## {report.project}: the model of `{report.lineage.commit[:12]}` in {report.environment}"
    lines = [title, ""]
    if report.package:
        lines.append(f"**{report.package.name}** · {words(report.package.status)}")
        if report.package.reason:
            lines.append(f"· {text(report.package.reason)}")
    else:
        reason, *log = report.why_not.splitlines() or [""]
        lines.append(f"**Not registered.** {text(reason)}.")
        lines += ["", fenced(log)] if log else []
    if report.earlier:
        lines += ["", f"Nothing was trained: this model was made by {report.earlier} already, from the same inputs."]
    return "\n".join(lines)


def words(status: str) -> str:
    """An approval status as people say it."""
    return "waits for approval" if status == "PendingManualApproval" else status.lower()


def metrics_table(report: Report) -> str:
    """The metrics of the model beside those of what serves, with the differences."""
    if not report.metrics:
        return ""
    limits = {each.metric: each for each in report.gate}
    others = [(each, metrics_of(each.package)) for each in other_models(report)]
    lines = [
        row("metric", "this model", *(each.name for each, _ in others), "gate"),
        row("---", *("---:" for _ in range(len(others) + 1)), "---"),
    ]
    for name, metric in report.metrics.items():
        cells = [difference(metric, theirs.get(name)) for _, theirs in others]
        lines.append(row(name, interval(metric), *cells, verdict(limits.get(name))))
    notes = [f"{each.name} is this model." for each in report.served if each.package and not is_another(report, each)]
    notes += [f"{each.environment}: {text(each.why_not)}." for each in report.served if each.package is None]
    brackets = ["of this model its confidence interval"] * any(each.low is not None for each in report.metrics.values())
    brackets += ["of another one what this model's value is above it"] * bool(others)
    notes += [f"In brackets: {', '.join(brackets)}."] if brackets else []
    return "\n".join([*lines, *(f"\n{line}" for line in notes)])


def other_models(report: Report) -> list[Served]:
    """What serves and is not this model, with which there would be nothing to compare."""
    return [each for each in report.served if is_another(report, each)]


def is_another(report: Report, served: Served) -> bool:
    """Whether a model that serves was made from something else."""
    return served.package is not None and served.package.fingerprint != report.lineage.fingerprint


def interval(metric: Metric) -> str:
    """An estimate with its interval."""
    bounds = "" if metric.low is None or metric.high is None else f" ({metric.low:.4f} to {metric.high:.4f})"
    return f"{metric.value:.4f}{bounds}"


def difference(metric: Metric, other: Metric | None) -> str:
    """Another model's estimate, and by how much this one's is above it."""
    return NOTHING if other is None else f"{other.value:.4f} ({metric.value - other.value:+.4f})"


def verdict(given: Verdict | None) -> str:
    """What the gate asks for, and whether it has it."""
    if given is None:
        return ""
    return f"{given.side.replace('_', ' ')} {given.limit:g}: {'passed' if given.passed else '**refused**'}"


def comparison(report: Report) -> str:
    """What the gate said of the model against the one that serves, on the rows that both have predicted."""
    found = report.decision
    if not found.get("judgements"):
        when = ", when it last judged this model" if report.package else ""
        return f"Gate{when}: {text(found['note'])}." if found.get("note") else ""
    overruled = report.package.metadata.get(verdicts.OVERRULED) if report.package else None
    then = ", which served when the gate last judged this model," if report.package else ""
    lines = [
        *([f"**Overruled** by {text(overruled)}.", ""] if overruled else []),
        f"Against {cell(found['against'])}{then} on {found['common']} of the {found['rows']} rows of the test set; "
        f"a gain above 0 is better, also of a metric that is better when it is low; the intervals hold together with "
        f"{found['confidence']:.0%}. “No worse”: all of the interval is above “at least”. What serves: "
        f"{text((found.get('answers') or {}).get('how') or 'its stored answers')}.",
        "",
        row("metric", "this model", "serves", "gain", "at least", "gate"),
        row("---", "---:", "---:", "---:", "---:", "---"),
    ]
    for each in found["judgements"]:
        name = f"{each['metric']} of {each['group']}" if each["group"] else each["metric"]
        said = "**worse: refused**" if each["word"] == "worse" else each["word"]
        if each["gain"] is None:
            lines.append(row(cell(name), NOTHING, NOTHING, NOTHING, NOTHING, said))
            continue
        gain = f"{each['gain']:+.4f} ({each['low']:+.4f} to {each['high']:+.4f})"
        values = (f"{each[key]:.4f}" for key in ("candidate", "serving"))
        lines.append(row(cell(name), *values, gain, f"{0 - each['may_lose']:g}", said))
    return "\n".join(lines)


def data_table(report: Report) -> str:
    """What the gate said of the data that the model learned from, and of groups that have a limit of their own."""
    data = report.decision.get("data") or {}
    tables = [
        verdict_table("group", report.decision.get("floors") or []),
        verdict_table("data", data.get("verdicts") or []),
        f"{text(data['note'])}." if data.get("note") else "",
    ]
    return "\n\n".join(each for each in tables if each)


def verdict_table(what: str, found: list[dict[str, Any]]) -> str:
    """Values against their limits."""
    if not found:
        return ""
    lines = [row(what, "this model", "gate"), row("---", "---:", "---")]
    for each in found:
        said = "passed" if each["passed"] else "**refused**"
        value = NOTHING if each["value"] is None else f"{each['value']:.4g}"
        lines.append(row(cell(each["metric"]), value, f"{each['side'].replace('_', ' ')} {each['limit']:.4g}: {said}"))
    return "\n".join(lines)


def changes(report: Report) -> str:
    """The parameters and the data that are others than those of what serves."""
    others = other_models(report)
    if not others:
        return ""
    mine = report.lineage.parameters
    theirs = [(each.name, parameters_of(each.package), each.package.metadata.get("dataset", "")) for each in others
              if each.package]  # fmt: skip
    names = sorted({*mine, *(name for _, values, _ in theirs for name in values)})
    rows = [
        row(f"`{name}`", code(mine.get(name)), *(code(values.get(name), mine.get(name)) for _, values, _ in theirs))
        for name in names
        if any(values.get(name) != mine.get(name) for _, values, _ in theirs)
    ]
    if any(data != report.lineage.dataset for _, _, data in theirs):
        cells = (code(data[:12], report.lineage.dataset[:12]) for _, _, data in theirs)
        rows.append(row("data", code(report.lineage.dataset[:12]), *cells))
    if not rows:
        return f"Parameters and data are those of {' and '.join(each.name for each in others)}."
    head = row("changed", "this model", *(name for name, _, _ in theirs))
    return "\n".join([head, row("---", *("---" for _ in range(len(theirs) + 1))), *rows])


def code(value: str | None, like: str | None = None) -> str:
    """A value in a cell; that it is like this model's, rather than the value again."""
    if value is None or value == "":
        return NOTHING
    return SAME if value == like else f"`{cell(value)}`"


def jobs_table(report: Report) -> str:
    """How long the jobs took that made the model, and what they cost. A price that is not given is not guessed."""
    if not report.jobs:
        return ""
    lines = [
        row("job", "instances", "billed seconds", "instance-seconds", "cost"),
        row("---", "---", "---:", "---:", "---:"),
    ]
    for job in report.jobs:
        instances = f"{job.instances} of {job.instance_type}"
        seconds = f"{job.seconds:.0f}"
        if job.spot_saving is not None:
            seconds += f" (spot saved {job.spot_saving:.0%})"
        lines.append(row(job.name, instances, seconds, f"{job.instance_seconds:.0f}", cost(job)))
    total = sum(job.instance_seconds for job in report.jobs)
    lines.append(row("together", "", "", f"{total:.0f}", costs(report.jobs)))
    unknown = sorted({job.instance_type for job in report.jobs if job.cost is None})
    lines += [f"\nIn {FILE} `prices` has no price for {', '.join(unknown)}."] if unknown else []
    return "\n".join(lines)


def cost(job: JobTime) -> str:
    """What a job cost."""
    return NOTHING if job.cost is None else money(job.cost, job.currency)


def costs(jobs: list[JobTime]) -> str:
    """What jobs cost together; of those without a price it is said that they come on top."""
    known = [job for job in jobs if job.cost is not None]
    if not known:
        return NOTHING
    total = money(sum(job.cost or 0.0 for job in known), known[0].currency)
    return total if len(known) == len(jobs) else f"{total}, and what has no price"


def money(amount: float, currency: str) -> str:
    """An amount to the hundredth, a small one to two digits that say something."""
    return f"{amount:.2f} {currency}" if amount >= 1 else f"{amount:.2g} {currency}"


def footer(report: Report) -> str:
    """Where to read on."""
    found = {"fingerprint": f"`{report.lineage.fingerprint[:12]}`", "branch": f"`{cell(report.lineage.branch)}`"}
    if report.package:
        found["package"] = f"`{report.package.arn}`"
        found["plots and predictions"] = f"`{report.package.metadata.get('report_uri', '')}`"
    if run := github.run_url():
        found["run"] = run
    return " · ".join(f"{name}: {value}" for name, value in found.items() if value != "``")


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(value: str) -> str:
    """A value that may hold what would end its cell or its code."""
    return value.replace("|", "\\|").replace("`", "'").replace("\n", " ")


def fenced(lines: list[str]) -> str:
    """Lines of a log, of which none can end the block that it stands in."""
    return "\n".join(["~~~text", *(line.strip().removeprefix("| ").replace("~~~", "~ ~") for line in lines), "~~~"])


def text(value: str) -> str:
    """What others wrote, such as a reason: it names nobody and makes no markup in our comment."""
    return " ".join(value.split()).replace("<", "&lt;").replace("@", "@\u200b").rstrip(".")
