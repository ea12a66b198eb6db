"""The container image of jobs and endpoints: AWS's scikit-learn image of a region, or the team's own by digest."""

from mlops.errors import BadInput
from mlops.settings.compute import Image
from mlops.settings.project import Settings

REGISTRIES = {
    "af-south-1": "510948584623",
    "ap-east-1": "651117190479",
    "ap-northeast-1": "354813040037",
    "ap-northeast-2": "366743142698",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "720646828776",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "121021644041",
    "ap-southeast-2": "783357654285",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "341280168497",
    "ca-west-1": "190319476487",
    "cn-north-1": "450853457545",
    "cn-northwest-1": "451049120500",
    "eu-central-1": "492215442770",
    "eu-central-2": "680994064768",
    "eu-north-1": "662702820516",
    "eu-south-1": "978288397137",
    "eu-south-2": "104374241257",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-west-3": "659782779980",
    "il-central-1": "898809789911",
    "me-central-1": "272398656194",
    "me-south-1": "801668240914",
    "sa-east-1": "737474898029",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-gov-east-1": "237065988967",
    "us-gov-west-1": "414596584902",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
}
"""The account of AWS's scikit-learn image in each region. Source: sagemaker-core 2.27, image_uri_config/sklearn.json;
a copy, because importing the SDK for it costs four seconds."""

VERSIONS = ("1.9-0", "1.4-2-py312")
"""The images that both train and serve, on a Python that this project runs on. Source: the same file."""


def uri(settings: Settings) -> str:
    """The image that jobs and endpoints of a project run in.

    Raises:
        BadInput: AWS has no such image in the project's region.
    """
    if settings.image.uri:
        return settings.image.uri
    if settings.region not in REGISTRIES:
        raise BadInput(
            f"mlops.yaml: region is {settings.region}; AWS has no scikit-learn image there: "
            "give your own as image: {uri: REPOSITORY@sha256:DIGEST}"
        )
    if settings.image.version not in VERSIONS:
        raise BadInput(f"mlops.yaml: image.version is {settings.image.version}; AWS has {', '.join(VERSIONS)}")
    suffix = "amazonaws.com.cn" if settings.region.startswith("cn-") else "amazonaws.com"
    registry = f"{REGISTRIES[settings.region]}.dkr.ecr.{settings.region}.{suffix}"
    return f"{registry}/sagemaker-scikit-learn:{settings.image.version}-cpu-py3"


def identity(image: Image) -> str:
    """What an image is in every region: the digest of one's own, framework and version of AWS's."""
    return image.uri.partition("@")[2] if image.uri else f"{image.framework}:{image.version}"
