"""An image of one's own: built from what is committed, pushed once, and named by its digest."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlops.compute import publication
from mlops.errors import BadInput, Failure
from mlops.settings.project import Settings

DIGEST = f"sha256:{'a1' * 32}"
REPOSITORY = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/churn"
DOCKER = f"""#!/bin/sh
echo "$@" >> "$DOCKER_LOG"
[ "$1" = login ] && cat >> "$DOCKER_LOG" && exit 0
while [ "$1" != --metadata-file ]; do shift; done
echo '{{"containerimage.digest": "{DIGEST}"}}' > "$2"
"""


@pytest.fixture
def project(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with a Dockerfile that is committed, and a docker that notes what it is told."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER, encoding="utf-8")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    monkeypatch.setenv("DOCKER_LOG", str(tmp_path / "docker.log"))
    root = tmp_path / "project"
    (root / "image").mkdir(parents=True)
    (root / "image" / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "An image"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    found: Settings = world.settings.model_copy(update={"root": root})
    return found


@pytest.fixture
def repository(world: Any) -> Any:
    """The repository of images, empty."""
    client = world.client(world.feature, "ecr")
    client.create_repository(repositoryName="churn", imageTagMutability="IMMUTABLE")
    yield client
    client.delete_repository(repositoryName="churn", force=True)


def test_it_is_built_pushed_and_named_by_its_digest(
    world: Any, project: Settings, repository: Any, tmp_path: Path
) -> None:
    world.forget_calls()

    made = publication.publish(project, "image", world.progress)

    tree = subprocess.run(["git", "rev-parse", "HEAD:image"], cwd=project.root, capture_output=True, text=True)
    assert made == publication.Image(f"{REPOSITORY}@{DIGEST}", tree.stdout.strip(), pushed=True)
    login, password_and_build = (tmp_path / "docker.log").read_text().split("\n", 1)
    assert login == f"login --username AWS --password-stdin {REPOSITORY.partition('/')[0]}"
    assert "--platform linux/amd64 --provenance=false --push" in password_and_build
    assert f"--tag {REPOSITORY}:{made.tag}" in password_and_build
    assert world.calls("DescribeImages", "GetAuthorizationToken") == ["DescribeImages", "GetAuthorizationToken"]


def test_what_is_there_is_not_built_again(world: Any, project: Settings, repository: Any, tmp_path: Path) -> None:
    first = publication.publish(project, "image", world.progress)
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": DIGEST}, "layers": []})
    repository.put_image(repositoryName="churn", imageManifest=manifest, imageTag=first.tag)
    (tmp_path / "docker.log").unlink()

    second = publication.publish(project, "image", world.progress)

    [there] = repository.describe_images(repositoryName="churn")["imageDetails"]
    assert second == publication.Image(f"{REPOSITORY}@{there['imageDigest']}", first.tag, pushed=False)
    assert not (tmp_path / "docker.log").exists()


@pytest.mark.parametrize(
    ("change", "folder", "words"),
    [
        ({}, "images", "folder is 'images', which has no Dockerfile"),
        ({"image/Dockerfile": "FROM busybox\n"}, "image", "image/Dockerfile in it is not committed"),
        ({"image/new.txt": "new\n"}, "image", "image/new.txt in it is not committed"),
    ],
)
def test_only_a_committed_folder_is_built(
    world: Any, project: Settings, change: dict[str, str], folder: str, words: str
) -> None:
    for path, text in change.items():
        (project.root / path).write_text(text, encoding="utf-8")

    with pytest.raises(BadInput, match=words):
        publication.publish(project, folder, world.progress)


def test_a_repository_that_is_not_there_is_named(world: Any, project: Settings) -> None:
    with pytest.raises(Failure, match=r"DescribeImages churn:.*RepositoryNotFoundException"):
        publication.publish(project, "image", world.progress)


def test_docker_that_fails_or_is_missing_is_said(
    project: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin" / "docker").write_text("#!/bin/sh\nexit 7\n", encoding="utf-8")
    with pytest.raises(Failure, match="docker push ended with 7"):
        publication.docker("push")

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="docker is not installed"):
        publication.docker("push")
