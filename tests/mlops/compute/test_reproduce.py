"""From a package's ARN alone its model is made again, with the same metrics."""

import pytest

from mlops.compute import reproduce
from mlops.errors import BadInput, Failure
from mlops.registry import lineage


@pytest.fixture
def registered(cloud, small, trained):
    """Registers the small project's model with some metrics and returns the ARN."""
    sagemaker = cloud.client("sagemaker")
    group = "tumour-classifier-feature"
    if not sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)

    def register(**metadata: str) -> str:
        origin = lineage.of(small.settings)
        return sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification={
                "Containers": [{"Image": trained.model.image, "ModelDataUrl": trained.model.artefact}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            CustomerMetadataProperties={"commit": origin.commit, "fingerprint": origin.fingerprint, **metadata},
        )["ModelPackageArn"]

    return register


def test_the_same_metrics_come_out_of_the_commit_whatever_the_work_tree_is_now(registered, small, progress):
    arn = registered(**{"metric.roc_auc": "0.900000", "metric.roc_auc.low": "0.8"})
    small.replace("params.yaml", "value: 0.9", "value: 0.1")
    small.commit()

    result = reproduce.reproduce(small.settings, arn, progress)

    assert result.same
    assert result.registered == result.again == {"roc_auc": 0.9}


@pytest.mark.parametrize("metadata", [{"metric.roc_auc": "0.91"}, {"metric.recall": "0.9"}, {}])
def test_other_metrics_or_none_are_not_the_same(registered, small, progress, metadata):
    assert not reproduce.reproduce(small.settings, registered(**metadata), progress).same


def test_a_package_of_another_fingerprint_is_refused(registered, small, progress):
    with pytest.raises(Failure, match="is registered"):
        reproduce.reproduce(small.settings, registered(fingerprint="0" * 64), progress)


@pytest.mark.parametrize("arn", ["tumour-classifier-feature/1", "arn:aws:sagemaker:eu-west-1:1:model-package/other/1"])
def test_what_is_none_of_the_projects_packages_is_refused(small, progress, arn):
    with pytest.raises(BadInput, match="tumour-classifier-feature, tumour-classifier-dev"):
        reproduce.reproduce(small.settings, arn, progress)
