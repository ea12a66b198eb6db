"""The image of jobs and endpoints is AWS's for the region, or the team's own by digest."""

import pytest

from mlops.compute import images
from mlops.errors import BadInput
from mlops.settings.compute import Image


def test_the_image_is_the_regions(small):
    assert images.uri(small.settings) == (
        "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
    )


def test_an_own_image_is_known_by_its_digest_wherever_it_is_copied(small):
    digest = f"sha256:{'a' * 64}"
    here, there = (
        Image(uri=f"{account}.dkr.ecr.eu-west-1.amazonaws.com/own@{digest}") for account in ("1" * 12, "2" * 12)
    )
    assert images.uri(small.settings.model_copy(update={"image": here})) == here.uri
    assert images.identity(here) == images.identity(there) == digest


@pytest.mark.parametrize("change", [{"region": "xx-nowhere-1"}, {"image": Image(version="9.9-0")}])
def test_an_image_that_aws_does_not_have_is_refused(small, change: dict):
    with pytest.raises(BadInput, match="AWS has"):
        images.uri(small.settings.model_copy(update=change))


@pytest.mark.slow
def test_the_table_says_what_the_sdk_says(small):
    from sagemaker.core import image_uris

    for region in images.REGISTRIES:
        for version in images.VERSIONS:
            project = small.settings.model_copy(update={"region": region, "image": Image(version=version)})
            expected = image_uris.retrieve(
                "sklearn", region, version=version, py_version="py3", instance_type="ml.m5.large"
            )
            assert images.uri(project) == expected
