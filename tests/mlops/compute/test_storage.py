"""Copies of artefacts count when they were read back with the right SHA-256."""

import hashlib
from pathlib import Path

import pytest

from mlops import aws, storage
from mlops.errors import BadInput, DigestMismatch, NotFound

BUCKET = "s3://tumour-classifier-feature-111111111111"


@pytest.fixture
def session(small, cloud):
    return aws.base(small.settings, small.feature)


def test_a_copy_has_the_digest_that_was_asked_for(session):
    storage.write(session, f"{BUCKET}/models/from", b"model")
    digest = hashlib.sha256(b"model").hexdigest()

    storage.copy(session, f"{BUCKET}/models/from", f"{BUCKET}/models/to", digest, None)

    assert storage.digest(session, f"{BUCKET}/models/to") == digest


def test_a_truncated_artefact_is_refused_and_a_damaged_copy_is_made_again(session):
    digest = hashlib.sha256(b"whole model").hexdigest()
    storage.write(session, f"{BUCKET}/models/cut", b"whole")
    with pytest.raises(DigestMismatch, match=digest):
        storage.copy(session, f"{BUCKET}/models/cut", f"{BUCKET}/models/cut-copy", digest, None)

    storage.write(session, f"{BUCKET}/models/cut", b"whole model")
    storage.copy(session, f"{BUCKET}/models/cut", f"{BUCKET}/models/cut-copy", digest, None)

    assert storage.read(session, f"{BUCKET}/models/cut-copy") == b"whole model"


def test_a_folder_goes_there_and_a_file_comes_back(session, tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text("content")
    storage.upload_folder(session, tmp_path / "a", f"{BUCKET}/models/folder/")
    assert storage.listing(session, f"{BUCKET}/models/folder/") == {"b/c.txt": 7}

    storage.download(session, f"{BUCKET}/models/folder/b/c.txt", tmp_path / "back" / "c.txt")

    assert (tmp_path / "back" / "c.txt").read_text() == "content"


def test_what_is_not_there_is_named(session):
    missing = f"{BUCKET}/models/nothing"
    assert not storage.exists(session, missing)
    with pytest.raises(NotFound, match=missing):
        storage.read(session, missing)


@pytest.mark.parametrize("address", ["http://bucket/key", "s3://bucket", "s3://bucket/", "/tmp/file"])
def test_what_is_no_address_in_s3_is_refused(address: str):
    with pytest.raises(BadInput, match="s3://BUCKET/KEY"):
        storage.parse(address)
