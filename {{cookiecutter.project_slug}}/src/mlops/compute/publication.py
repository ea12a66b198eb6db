"""The publication of an image of one's own: built by docker from a committed folder, pushed, named by its digest."""

import base64
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from mlops import aws, git
from mlops.display import Progress
from mlops.errors import BadInput, Failure
from mlops.settings.project import Settings

PLATFORM = "linux/amd64"
"""Of SageMaker's instances, whatever machine builds."""


@dataclass(frozen=True)
class Image:
    """An image as mlops.yaml names it, and whether this command pushed it."""

    uri: str
    tag: str
    pushed: bool


def publish(settings: Settings, folder: str, progress: Progress) -> Image:
    """Build the image of a folder and push it, unless the repository has it.

    Its tag is the hash of the folder's content: the same content is built once.

    Args:
        settings: the project's.
        folder: with a Dockerfile, inside the project.
        progress: is told what is going on.

    Raises:
        BadInput: the folder has no Dockerfile, or is not committed as it is.
        Failure: AWS or docker refuses.
    """
    tag = content_of(settings.root, folder)
    first = settings.environments[0]
    session = aws.session(settings, first, "image")
    repository = f"{first.account}.dkr.ecr.{settings.region}.amazonaws.com/{settings.project}"
    if digest := pushed(session, settings.project, tag):
        return Image(f"{repository}@{digest}", tag, pushed=False)
    sign_in(session, repository)
    progress(f"image: building {folder} and pushing it to {repository}")
    digest = built(settings.root / folder, f"{repository}:{tag}")
    return Image(f"{repository}@{digest}", tag, pushed=True)


def content_of(root: Path, folder: str) -> str:
    """The hash of a committed folder."""
    if not (root / folder / "Dockerfile").is_file():
        raise BadInput(f"folder is {folder!r}, which has no Dockerfile")
    if changed := git.uncommitted(root, [folder]):
        raise BadInput(f"folder is {folder!r}, and {changed[0]} in it is not committed: commit it first")
    return git.git(root, "rev-parse", f"HEAD:./{folder.rstrip('/')}").strip()


def pushed(session: boto3.Session, repository: str, tag: str) -> str:
    """The digest of an image that the repository has; empty when it has none."""
    client = aws.client(session, "ecr")
    with aws.explained("DescribeImages", f"{repository}:{tag}"):
        try:
            found: Any = client.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        except client.exceptions.ImageNotFoundException:
            return ""
    return str(found["imageDetails"][0]["imageDigest"])


def sign_in(session: boto3.Session, repository: str) -> None:
    """Let docker push; the password goes by standard input, where no list of processes shows it."""
    with aws.explained("GetAuthorizationToken", repository):
        given = aws.client(session, "ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(given).decode().partition(":")
    docker("login", "--username", user, "--password-stdin", repository.partition("/")[0], text=password)


def built(folder: Path, name: str) -> str:
    """Build a folder's image, push it under a name, and give the digest that the registry knows it by."""
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary) / "metadata.json"
        # An attestation would make it an index of manifests, which SageMaker does not take.
        docker(
            "buildx", "build", "--platform", PLATFORM, "--provenance=false", "--push", "--tag", name,
            "--metadata-file", str(told), str(folder),
        )  # fmt: skip
        return str(json.loads(told.read_text(encoding="utf-8"))["containerimage.digest"])


def docker(*arguments: str, text: str = "") -> None:
    """Run docker; what it prints is shown.

    Raises:
        Failure: it is not there, or ends with an error.
    """
    try:
        done = subprocess.run(["docker", *arguments], input=text, text=True, check=False)
    except FileNotFoundError as error:
        raise Failure("docker is not installed; install it, or run the workflow `image` on GitHub") from error
    if done.returncode:
        raise Failure(f"docker {arguments[0]} ended with {done.returncode}; what it printed is above")
