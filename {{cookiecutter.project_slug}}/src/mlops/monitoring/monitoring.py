"""Monitoring: what an endpoint was asked of late, held against what its model learned from."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from mlops import aws
from mlops.errors import BadInput
from mlops.hosting import endpoints
from mlops.monitoring import baselines, drift, observation, performance
from mlops.monitoring.drift import Histogram, Shift
from mlops.monitoring.observation import Observed, Output
from mlops.monitoring.performance import Measured
from mlops.registry.packages import ModelPackage
from mlops.reporting.report import metrics_of
from mlops.settings.criteria import BUILT_IN
from mlops.settings.project import Environment, Settings

NAMESPACE = "mlops"
"""CloudWatch's namespace of what is measured here; the alarm `<endpoint>-drift` watches `Drift` in it."""

OUTPUT = "the model's output"


@dataclass(frozen=True)
class Monitored:
    """What was found of an endpoint in a time.

    Attributes:
        judged: whether there were enough rows to say anything; `note` says why not.
        drifts: how many of `shifts` and `performance` are beyond their limits.
    """

    endpoint: str
    version: int | None
    since: datetime
    until: datetime
    requests: int
    rows: int
    unread: int
    judged: bool
    note: str
    drifts: int = 0
    shifts: list[Shift] = field(default_factory=list)
    performance: list[Measured] = field(default_factory=list)


def monitor(
    settings: Settings, environment: Environment, hours: int | None = None, labels: Path | None = None
) -> Monitored:
    """Hold what an endpoint was asked against what the version that serves learned from, and tell CloudWatch.

    Args:
        settings: the project.
        environment: whose endpoint.
        hours: how far back; the settings' when not given.
        labels: CSV of labels that came later; see `performance.labels`.

    Raises:
        BadInput: labels are given without a comparison in the settings, or belong to no captured row.
        DigestMismatch: the baseline is not the one that was registered.
    """
    session = aws.session(settings, environment, "monitor")
    state = endpoints.state(session, environment.endpoint_name)
    if state is None:
        why = f"there is no endpoint {environment.endpoint_name}; mlops deploy {environment.options} makes it"
        return nothing(environment, why)
    if environment.endpoint is None or environment.endpoint.capture is None:
        where = f"environments.{environment.name}.endpoint.capture"
        why = f"it captures nothing; give {where} in mlops.yaml, such as {{percent: 100}}, and deploy"
        return nothing(environment, why)
    truth = performance.labels(labels) if labels else {}
    package = baselines.served(session, environment, state.config)
    baseline = baselines.baseline_of(session, package)
    asked = settings.monitoring
    until = datetime.now(UTC)
    window = (until - timedelta(hours=hours or asked.window_hours), until)
    seen = observation.observe(
        session, environment, state.config, endpoints.VARIANT, window, list(baseline["columns"]),
        Output(asked.output, asked.output_column),
    )  # fmt: skip
    found = Monitored(
        environment.endpoint_name,
        package.version,
        *window,
        seen.requests,
        seen.rows,
        seen.unread,
        judged=False,
        note="",
    )
    if seen.rows < asked.least_rows:
        found = replace(found, note=f"{seen.rows} rows were captured; {asked.least_rows} are needed to say anything")
    else:
        shifts = shifts_of(settings, seen, baseline, baselines.outputs_of(session, package))
        found = replace(found, judged=True, shifts=shifts, drifts=sum(shift.drifted for shift in shifts))
    if truth:
        measured = measured_of(settings, seen, truth, package)
        found = replace(found, performance=measured, drifts=found.drifts + sum(each.decayed for each in measured))
    publish(session, found)
    return found


def nothing(environment: Environment, why: str) -> Monitored:
    """What is found where there is nothing to look at: that is no failure, a new project has no endpoint for long."""
    now = datetime.now(UTC)
    return Monitored(environment.endpoint_name, None, now, now, 0, 0, 0, judged=False, note=why)


def shifts_of(settings: Settings, seen: Observed, baseline: dict[str, Any], outputs: Histogram | None) -> list[Shift]:
    """Every feature, and the output, against the limits; chance is shared among all that is looked at."""
    asked, columns, rows = settings.monitoring, baseline["columns"], int(baseline["rows"])
    chance = (1 - asked.confidence) / (3 * len(columns) + 2)
    readable = seen.rows - seen.unread
    found = [drift.more_often("rows", "unread", seen.unread, seen.rows, 0.0, rows, asked.missing, chance)]
    for name, column in columns.items():
        if values := seen.values[name]:
            found.append(drift.shifted(name, baselines.histogram_of(column, rows), values, asked.psi, chance))
        if readable:
            missing = float(column.get("missing", 0))
            counted = [("missing", seen.missing[name], missing), ("invalid", seen.invalid[name], 0.0)]
            found += [
                drift.more_often(name, measure, now, readable, then, rows, asked.missing, chance)
                for measure, now, then in counted
            ]
    if outputs is not None and seen.outputs:
        found.append(drift.shifted(OUTPUT, outputs, seen.outputs, asked.psi, chance))
    return found


def measured_of(
    settings: Settings, seen: Observed, truth: dict[tuple[str, int], str], package: ModelPackage
) -> list[Measured]:
    """The metrics of the rows that have a label by now, against those of the evaluation.

    Raises:
        BadInput: the settings do not say which label is positive, or no label belongs to a captured row.
    """
    if settings.comparison is None:
        raise BadInput("--labels needs comparison.positive and comparison.threshold in mlops.yaml")
    known = [(truth[row] == settings.comparison.positive, score) for row, score in seen.by_row.items() if row in truth]
    if not known:
        raise BadInput(
            f"--labels: none of the {len(truth)} labels belongs to one of the {len(seen.by_row)} captured rows; "
            "request is the id that the client gave as InferenceId, or SageMaker's eventId"
        )
    positive, scores = zip(*known, strict=True)
    evaluated = metrics_of(package)
    found = []
    for each in performance.measure(positive, scores, settings.comparison.threshold, settings.monitoring.confidence):
        then = evaluated.get(each.metric)
        if then is not None:
            low, high = (then.value if end is None else end for end in (then.low, then.high))
            worse = each.high < low if BUILT_IN[each.metric] == "higher" else each.low > high
            each = replace(each, evaluated=then.value, decayed=worse)
        found.append(each)
    return found


def publish(session: boto3.Session, found: Monitored) -> None:
    """Send to CloudWatch what the alarm and the dashboard look at; without a verdict only how many rows there were."""
    values = {"MonitoredRows": float(found.rows), "UnreadRows": float(found.unread)}
    if found.judged or found.performance:
        values["Drift"] = float(found.drifts)
        values["LargestIndex"] = max((shift.value for shift in found.shifts if shift.measure == "psi"), default=0.0)
    dimensions = [
        {"Name": "EndpointName", "Value": found.endpoint},
        {"Name": "VariantName", "Value": endpoints.VARIANT},
    ]
    with aws.explained("PutMetricData", found.endpoint):
        aws.client(session, "cloudwatch").put_metric_data(
            Namespace=NAMESPACE,
            MetricData=[
                {"MetricName": name, "Value": value, "Dimensions": dimensions} for name, value in values.items()
            ],
        )


def markdown(found: Monitored) -> str:
    """What was found, for people: what drifted first."""
    if found.version is None:
        return f"## {found.endpoint}: {sentence(found)}\n"
    lines = [
        f"## {found.endpoint}: {sentence(found)}",
        "",
        f"{found.rows} rows in {found.requests} requests to version {found.version}, "
        f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC.",
    ]
    if found.shifts:
        lines += ["", "| what | measure | value | limit | |", "|---|---|---|---|---|"]
        for shift in sorted(found.shifts, key=lambda each: each.value / (each.limit or 1), reverse=True):
            mark = "**drifted**" if shift.drifted else ""
            lines.append(f"| {shift.name} | {shift.measure} | {shift.value:.3f} | {shift.limit:.3f} | {mark} |")
    if found.performance:
        lines += ["", "| metric | now | interval | in the evaluation | |", "|---|---|---|---|---|"]
        for each in found.performance:
            then = "" if each.evaluated is None else f"{each.evaluated:.3f}"
            mark = "**worse**" if each.decayed else ""
            lines.append(f"| {each.metric} | {each.value:.3f} | {each.low:.3f} to {each.high:.3f} | {then} | {mark} |")
    return "\n".join(lines) + "\n"


def sentence(found: Monitored) -> str:
    """What was found, in a few words."""
    if not found.judged and not found.performance:
        return f"no verdict: {found.note}"
    if not found.drifts:
        return "no drift" if found.judged else f"no decay; {found.note}"
    worst = [str(shift) for shift in found.shifts if shift.drifted][:3]
    decayed = [each for each in found.performance if each.decayed]
    worst += [f"{each.metric} is {each.value:.3f}, {each.evaluated:.3f} in the evaluation" for each in decayed]
    more = [f"and {found.drifts - len(worst)} more"] if found.drifts > len(worst) else []
    return f"drift: {'; '.join([*worst, *more])}"
