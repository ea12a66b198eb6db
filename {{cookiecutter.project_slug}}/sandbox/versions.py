"""Rights to change a version of a group: its approval, and the notes on it that are the role's to write.

What a version says of where it comes from is written once, when it is registered or copied.
"""

from __future__ import annotations

from sandbox.statements import Statement, allow

ORIGIN = (
    "fingerprint", "commit", "branch", "dataset", "dataset_uri", "digest", "image", "training_job", "registered_by",
    "run_url", "report_uri", "baseline_uri", "promoted_from", "promoted_by", "promoted_commit", "adopted_from",
)  # fmt: skip
"""Metadata that says what made a version and who brought it: nobody changes it."""

GATE = ("gate", "gate_uri", "gate_against", "gate_answers", "gate_gains", "gate_serving", "gate_overruled")
"""Metadata that the gate writes anew when it has held a version against another one."""

TRIAL = ("serves_since", "served_until", "verified")
"""Metadata that a deployment writes: since and until when a challenger serves, and that a version was found well."""

_METADATA = "sagemaker:CustomerMetadataProperties"
_REMOVED = "sagemaker:CustomerMetadataPropertiesToRemove"
_STATUS = "sagemaker:ModelApprovalStatus"


def register(manual: bool, groups: list[str], versions: list[str]) -> list[Statement]:
    """Make versions, judge them again, reject them; where a person approves that is the approve role's.

    Args:
        manual: a person approves.
        groups: what a version is made in.
        versions: those that are changed.
    """
    create = allow(["sagemaker:CreateModelPackage"], groups)
    update = allow(["sagemaker:UpdateModelPackage"], versions)
    # Asked of what a request holds: one that removes nothing has nothing that would have to be among these.
    changes = {"Null": _absent(ORIGIN), "ForAllValues:StringEquals": {_REMOVED: list(GATE)}}
    if not manual:
        return [create, {**update, "Condition": changes}]
    return [
        {**create, "Condition": {"StringEqualsIfExists": {_STATUS: "PendingManualApproval"}}},
        {**update, "Condition": {**changes, "StringEqualsIfExists": {_STATUS: "Rejected"}}},
    ]


def decide(versions: list[str]) -> Statement:
    """Approve or reject, with a reason; nothing else."""
    return {
        **allow(["sagemaker:UpdateModelPackage"], versions),
        "Condition": {
            "StringEquals": {_STATUS: ["Approved", "Rejected"]},
            "Null": {**_absent((*ORIGIN, *GATE, *TRIAL)), _REMOVED: "true"},
        },
    }


def _absent(keys: tuple[str, ...]) -> dict[str, str]:
    return {f"{_METADATA}/{key}": "true" for key in keys}
