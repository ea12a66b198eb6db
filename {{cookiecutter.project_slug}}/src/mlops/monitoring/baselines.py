"""Baselines: which version an endpoint serves, what it learned from, and what it answered on its test set."""

import hashlib
import json
from typing import Any

import boto3

from mlops import storage
from mlops.errors import DigestMismatch, Failure
from mlops.hosting import endpoints
from mlops.monitoring import drift, predictionlog
from mlops.monitoring.captures import Folder
from mlops.monitoring.drift import Histogram
from mlops.quality import predictions
from mlops.registry import packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment

BINS = 10
"""Bins of the histogram of what a model answered."""


def served(session: boto3.Session, environment: Environment, config: str) -> ModelPackage:
    """The version that a configuration serves.

    Raises:
        Failure: it serves no version of a model group.
    """
    found = predictionlog.served_by(session, environment, Folder("", config, endpoints.VARIANT))
    if found.package is None:
        raise Failure(f"{environment.endpoint_name} serves {config}, which is no version of {environment.group}")
    return packages.describe(session, found.package)


def baseline_of(session: boto3.Session, package: ModelPackage) -> dict[str, Any]:
    """What a version learned from. The address holds the SHA-256 that the file has to have.

    Raises:
        Failure: it was registered without, or with one that is not as prepare.py writes it.
        DigestMismatch: the file is not the one that was registered.
    """
    uri = package.metadata.get("baseline_uri")
    if not uri:
        raise Failure(f"{package.name} was registered without a baseline: there is nothing to hold requests against")
    content = storage.read(session, uri)
    digest = hashlib.sha256(content).hexdigest()
    if digest != uri.split("/")[-2]:
        raise DigestMismatch(f"{uri}: SHA-256 is {digest}, not the one that was registered")
    try:
        found = json.loads(content)
        for column in found["columns"].values():
            histogram_of(column, int(found["rows"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failure(f"{uri}: no baseline as prepare.py writes it ({error!r}); see docs/monitoring.md") from error
    checked: dict[str, Any] = found
    return checked


def histogram_of(column: dict[str, Any], rows: int) -> Histogram:
    """The histogram of one column of a baseline."""
    edges, shares = tuple(map(float, column["edges"])), tuple(map(float, column["shares"]))
    if len(shares) != len(edges) + 1 or list(edges) != sorted(edges):
        raise ValueError(f"{len(edges)} edges in order have {len(edges) + 1} shares between them")
    return Histogram(edges, shares, max(1, round(rows * (1 - float(column.get("missing", 0))))))


def outputs_of(session: boto3.Session, package: ModelPackage) -> Histogram | None:
    """What a version answered on its test set; None when it was registered without."""
    uri = package.metadata.get("predictions_uri")
    if not uri:
        return None
    return drift.histogram(predictions.parse(storage.read(session, uri), uri).probabilities, BINS)
