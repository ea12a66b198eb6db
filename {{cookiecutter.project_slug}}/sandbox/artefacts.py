"""Model data: one .tar.gz in S3 that is there, in the same region, and that the caller may read."""

from __future__ import annotations

from typing import Any

from sandbox import backends
from sandbox.authorization import Permission, refused_because
from sandbox.operations import Call, Refusal


def location(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise Refusal("ValidationException", f"{uri} is not an address s3://BUCKET/KEY")
    return bucket, key


def check_model_data(call: Call, container: dict[str, Any]) -> None:
    """Refuse a container whose model data can not be taken; one that has none, all in its image, is fine."""
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    if "ModelDataUrl" in container and source:
        raise Refusal("ValidationException", "ModelDataUrl and ModelDataSource cannot be specified together.")
    uri = container.get("ModelDataUrl") or source.get("S3Uri")
    if uri is None:
        return
    bucket_name, key = location(uri)
    if "ModelDataUrl" in container and not key.endswith(".tar.gz"):
        raise Refusal("ValidationException", f"Invalid ModelDataUrl {uri}: model data is one .tar.gz file.")
    bucket = backends.bucket(bucket_name)
    readable = Permission("s3:GetObject", f"arn:aws:s3:::{bucket_name}/{key}")
    if bucket is None or refused_because(call.sandbox, call.caller, readable):
        message = f"Could not access model data at {uri}. Please ensure that {call.caller.arn} may read the object."
        raise Refusal("ValidationException", message)
    if bucket.region_name != call.caller.region:
        message = f"The model data {uri} is in region {bucket.region_name}; it has to be in {call.caller.region}."
        raise Refusal("ValidationException", message)
    single = source.get("S3DataType") != "S3Prefix"
    present = bucket.keys.get(key) is not None if single else any(name.startswith(key) for name in bucket.keys)
    if not present:
        raise Refusal("ValidationException", f"Could not find model data at {uri}.")
