"""The model card of a package: how it was trained and what was measured, in SageMaker's schema."""

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops.compute.jobs import Metric, TrainedModel
    from mlops.registry.lineage import Lineage
    from mlops.settings.project import Settings

VALUE_LIMIT = 255
"""Characters in a hyperparameter's name or value and in a metric's name, as the schema says."""


def card(settings: "Settings", model: "TrainedModel", lineage: "Lineage") -> dict[str, str]:
    """The card of a model that is about to be registered.

    Source: SageMaker developer guide, "Model package model card schema": model_overview holds only creator and
    artefact, and properties that it does not name are refused.
    """
    content = {
        "model_overview": {"model_creator": settings.project, "model_artifact": [model.artefact]},
        "training_details": {"training_job_details": training(model, lineage)},
        "evaluation_details": [evaluation(settings, model)],
        "additional_information": {"custom_details": {"fingerprint": lineage.fingerprint, "commit": lineage.commit}},
    }
    return {"ModelCardContent": json.dumps(content, sort_keys=True), "ModelCardStatus": "Draft"}


def training(model: "TrainedModel", lineage: "Lineage") -> dict[str, Any]:
    """The training job, its data, image and hyperparameters."""
    parameters = {**lineage.parameters, **model.hyperparameters}
    return {
        "training_arn": model.training_job,
        "training_datasets": [model.dataset],
        "training_environment": {"container_image": [model.image]},
        "user_provided_hyper_parameters": [
            {"name": name[:VALUE_LIMIT], "value": str(value)[:VALUE_LIMIT]} for name, value in parameters.items()
        ],
    }


def evaluation(settings: "Settings", model: "TrainedModel") -> dict[str, Any]:
    """What the evaluation measured, each metric with the bounds of its confidence interval."""
    data = [
        {"name": name[:VALUE_LIMIT], "type": "number", "value": metric.value, **bounds(metric)}
        for name, metric in model.metrics.items()
        if math.isfinite(metric.value)  # JSON has no NaN
    ]
    limits = {
        each.metric: f"at least {each.at_least:g}" if each.at_least is not None else f"at most {each.at_most:g}"
        for each in settings.gate
    }
    return {
        "name": "evaluation on held-out data",
        "datasets": [model.dataset],
        "metadata": limits,
        "metric_groups": [{"name": "metrics", "metric_data": data}],
    }


def bounds(metric: "Metric") -> dict[str, str]:
    """The confidence interval of a metric, as a note: the schema has no field for it."""
    known = metric.low is not None and metric.high is not None
    return {"notes": f"{metric.low:.6g} to {metric.high:.6g}"} if known else {}
