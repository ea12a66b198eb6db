"""The raw data of a commit is what its pointer says, wherever it is found."""

import shutil
import subprocess
import sys

import pytest

from mlops import aws, storage
from mlops.compute import dataset
from mlops.errors import Failure
from mlops.registry import lineage

BUCKET = "tumour-classifier-feature-111111111111"


@pytest.fixture
def session(small, cloud):
    """A session of the account's administrator."""
    return aws.base(small.settings, small.feature)


def ensure(project, session, progress) -> str:
    return dataset.ensure(
        project.settings, session, project.feature, project.git("rev-parse", "HEAD"), "data/raw", progress
    )


def test_data_is_sent_once_and_again_when_some_of_it_is_missing(small, session, said, progress):
    small.data("a,b\n5,sent once\n")
    small.write("data/raw/more.csv", "a,b\n")
    small.write("data/raw.dvc", small.pointer())
    small.commit()

    uri = ensure(small, session, progress)
    assert uri == f"s3://{BUCKET}/data/{lineage.of(small.settings).dataset}/"
    assert storage.read(session, f"{uri}rows.csv") == b"a,b\n5,sent once\n"
    assert ensure(small, session, progress) == uri
    assert len(said) == 1

    bucket, key = storage.parse(f"{uri}more.csv")
    aws.client(session, "s3").delete_object(Bucket=bucket, Key=key)
    ensure(small, session, progress)
    assert len(said) == 2
    assert storage.exists(session, f"{uri}more.csv")


def test_data_that_is_nowhere_is_named_with_what_to_do(small, session, progress):
    small.data("a,b\n6,nowhere\n")
    small.commit()
    small.write("data/raw/rows.csv", "something else\n")
    with pytest.raises(Failure, match=r"data/raw [0-9a-f]{8}, .* is not in the work tree.*dvc push"):
        ensure(small, session, progress)


@pytest.mark.slow
def test_the_data_of_a_commit_comes_from_dvc_when_the_work_tree_has_other(real, tmp_path):
    commit = real.git("rev-parse", "HEAD")
    csv = next((real.path / "data/raw").glob("*.csv"))
    original = csv.read_bytes()
    csv.chmod(0o644)
    csv.write_text("not the data\n")

    dataset.restore(real.settings, commit, "data/raw", tmp_path / "restored")

    assert (tmp_path / "restored/data/raw" / csv.name).read_bytes() == original
    assert csv.read_text() == "not the data\n"


@pytest.mark.slow
def test_the_data_of_a_commit_comes_from_dvcs_remote_when_this_machine_never_had_it(real, cloud, tmp_path):
    commit = real.git("rev-parse", "HEAD")
    csv = next((real.path / "data/raw").glob("*.csv"))
    original = csv.read_bytes()
    pushed = subprocess.run([sys.executable, "-m", "dvc", "push"], cwd=real.path, capture_output=True, text=True)
    assert pushed.returncode == 0, pushed.stderr
    shutil.rmtree(real.path / ".dvc/cache")
    shutil.rmtree(real.path / "data/raw")

    dataset.restore(real.settings, commit, "data/raw", tmp_path / "restored")

    assert (tmp_path / "restored/data/raw" / csv.name).read_bytes() == original
