"""Registration: a trained model becomes a version of the first environment's group."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3

from mlops import actor, aws, storage
from mlops.compute import durations
from mlops.errors import DigestMismatch, Failure
from mlops.quality import gate, predictions, rescoring, thresholds, verdicts
from mlops.quality.verdicts import Decision
from mlops.registry import modelcard, packages, places
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings

if TYPE_CHECKING:
    from mlops.compute.jobs import TrainedModel
    from mlops.registry.lineage import Lineage

KEY_LIMIT = 128
"""Characters of a key in a version's CustomerMetadataProperties."""


def register(
    settings: Settings,
    environment: Environment,
    model: "TrainedModel",
    lineage: "Lineage",
    run_url: str,
    registered_by: str,
    progress: Callable[[str], None] = lambda line: None,
    after: str = "",
) -> ModelPackage:
    """Register a trained model, if it passes the gate. A model that is registered already stays as it is.

    Args:
        settings: the project.
        environment: the one that trains.
        model: what SageMaker trained, with what was measured of it.
        lineage: what it was made from.
        run_url: address of the workflow run; empty elsewhere.
        registered_by: who runs this.
        progress: told what begins and what ends.
        after: name of a job that has ended and is taken up: when it has failed, the gate does not start it again.

    Raises:
        StillTraining: the job of the gate is at it longer than this run may wait.
        Failure: the gate refuses the model, by a threshold or against what serves where it goes next; or its training
            job did not make this artefact.
        DigestMismatch: the artefact is not the one that was trained.
    """
    thresholds.gate(model.metrics, settings.gate)
    session = aws.session(settings, environment, "train")
    if existing := packages.find(session, environment.group, lineage.fingerprint):
        return existing
    refuse_other_artefact(session, model)
    decision = gate.of_trained(session, settings, environment, model, lineage, progress, after=after)
    verdicts.refuse(decision)
    own = into_bucket(session, environment, model, lineage.fingerprint)
    beside = {"baseline_uri": own.baseline, **gate_files(session, environment, lineage.fingerprint, decision)}
    beside |= compared_by(session, settings, environment, model, lineage.fingerprint)
    parameters: dict[str, Any] = {
        "ModelPackageDescription": packages.description(lineage.fingerprint, lineage.commit),
        "ModelApprovalStatus": "Approved" if environment.approval == "automatic" else "PendingManualApproval",
        "InferenceSpecification": packages.specification(own.image, own.artefact),
        "ModelMetrics": {"ModelDataQuality": {"Statistics": statistics(own.baseline)}},
        "ModelCard": modelcard.card(settings, own, lineage),
        "CustomerMetadataProperties": metadata(own, lineage, run_url, registered_by, beside),
    }
    token = packages.token("register", environment.group, lineage.fingerprint)
    return packages.create(session, environment.group, lineage.fingerprint, token, **parameters)


def refuse_other_artefact(session: boto3.Session, model: "TrainedModel") -> None:
    """Only what a training job of SageMaker made is registered: not a file that somebody put into the bucket.

    Raises:
        Failure: the job did not complete, or made another artefact.
    """
    job = model.training_job.rpartition("/")[2]
    with aws.explained("DescribeTrainingJob", job):
        answer = aws.client(session, "sagemaker").describe_training_job(TrainingJobName=job)
    if answer["TrainingJobStatus"] != "Completed":
        raise Failure(f"training job {job} is {answer['TrainingJobStatus']}; only what completed is registered")
    made = answer.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
    if made != model.artefact:
        raise Failure(f"training job {job} made {made or 'no artefact'}, not {model.artefact}")
    found = storage.digest(session, model.artefact)
    if found != model.digest:
        raise DigestMismatch(f"{model.artefact}: SHA-256 is {found}, training job {job} made {model.digest}")


def into_bucket(
    session: boto3.Session, environment: Environment, model: "TrainedModel", fingerprint: str
) -> "TrainedModel":
    """Copy artefact and baseline from the jobs' outputs to where packages keep them, under names from their content."""
    artefact = places.artefact(environment, fingerprint, model.digest)
    storage.copy(session, model.artefact, artefact, model.digest, environment.kms_key)
    baseline = places.copied(session, environment, model.baseline, fingerprint)
    return replace(model, artefact=artefact, baseline=baseline)


def compared_by(
    session: boto3.Session, settings: Settings, environment: Environment, model: "TrainedModel", fingerprint: str
) -> dict[str, str]:
    """Copy what the next model is compared by: the predictions, and the test set where prepare wrote one."""
    if settings.comparison is None:
        return {}
    files = {"predictions_uri": f"{model.report}{predictions.FILE}"}
    test = f"{model.prepared}{rescoring.TEST}"
    if model.prepared and storage.exists(session, test):
        files["test_uri"] = test
    return {key: places.copied(session, environment, uri, fingerprint) for key, uri in files.items()}


def gate_files(
    session: boto3.Session, environment: Environment, fingerprint: str, decision: Decision
) -> dict[str, str]:
    """Write the gate's decision beside the baseline, and what it has paid for; what the metadata says of it."""
    rescoring.keep(session, environment, fingerprint, decision.answers)
    content = verdicts.document(decision)
    uri = places.beside(environment, fingerprint, hashlib.sha256(content).hexdigest(), verdicts.FILE)
    storage.write(session, uri, content, environment.kms_key)
    return {key: allowed(value, packages.VALUE_LIMIT) for key, value in verdicts.metadata(decision, uri).items()}


def statistics(baseline: str) -> dict[str, str]:
    """The baseline as the registry points at it."""
    return {"ContentType": "application/json", "S3Uri": baseline}


def metadata(
    model: "TrainedModel", lineage: "Lineage", run_url: str, registered_by: str, beside: dict[str, str]
) -> dict[str, str]:
    """Where a model came from, within the service's limits; the model card holds what does not fit.

    Room stays for what is added later: from where and by whom it came, from when until when it serves as challenger,
    when it was verified, and all that the gate may say.
    """
    origin = {
        "fingerprint": lineage.fingerprint,
        "commit": lineage.commit,
        "branch": lineage.branch,
        "dataset": lineage.dataset,
        "dataset_uri": model.dataset,
        "digest": model.digest,
        "image": model.image,
        "training_job": model.training_job,
        durations.LISTED: " ".join(model.processing_jobs),
        "registered_by": registered_by,
        "run_url": run_url,
        "report_uri": model.report,
        **beside,
    }
    values = {f"metric.{name}": number(metric.value) for name, metric in model.metrics.items()}
    bounds = {
        f"metric.{name}.{side}": number(bound)
        for name, metric in model.metrics.items()
        for side, bound in (("low", metric.low), ("high", metric.high))
        if bound is not None
    }
    parameters = {f"parameter.{name}": value for name, value in lineage.parameters.items()}
    found = {allowed(key, KEY_LIMIT): allowed(value, packages.VALUE_LIMIT) for key, value in
             {**origin, **values, **parameters, **bounds}.items() if value}  # fmt: skip
    free = 6 + len(set(verdicts.KEYS) - found.keys())
    return dict(list(found.items())[: packages.MOST_KEYS - free])


def number(value: float) -> str:
    """A number that reads back as it was."""
    return repr(float(value)) if math.isfinite(value) else str(value)


def allowed(text: str, limit: int) -> str:
    """Text with what the service refuses in metadata replaced by `_`."""
    return actor.NOT_ALLOWED.sub("_", str(text))[:limit]
