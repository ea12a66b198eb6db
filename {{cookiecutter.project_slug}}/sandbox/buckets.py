"""Requests to S3: their operation by method, path and query, and the permissions that it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from sandbox import backends
from sandbox.authorization import Permission

_BUCKET_ACTIONS = {
    "versions": "ListBucketVersions",
    "uploads": "ListBucketMultipartUploads",
    "location": "GetBucketLocation",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "replication": "ReplicationConfiguration",
    "accelerate": "AccelerateConfiguration",
    "cors": "BucketCORS",
    "object-lock": "BucketObjectLockConfiguration",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "ownershipControls": "BucketOwnershipControls",
    "policyStatus": "BucketPolicyStatus",
    "requestPayment": "BucketRequestPayment",
    "versioning": "BucketVersioning",
    "notification": "BucketNotification",
    "tagging": "BucketTagging",
    "logging": "BucketLogging",
    "website": "BucketWebsite",
    "policy": "BucketPolicy",
    "acl": "BucketAcl",
}
_VERBS = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete", "POST": "Put"}
_PLAIN = {
    "GET": ("ListObjectsV2", "ListBucket"),
    "HEAD": ("HeadBucket", "ListBucket"),
    "PUT": ("CreateBucket", "CreateBucket"),
    "DELETE": ("DeleteBucket", "DeleteBucket"),
}
_KMS_HEADER = "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID"


@dataclass(frozen=True)
class S3Request:
    """An operation of S3 by its name in the API, and all permissions that it needs."""

    operation: str
    permissions: tuple[Permission, ...]
    bucket: str = ""


def path_style(environ: dict[str, str]) -> None:
    """Bring a request to `BUCKET.localhost` or `BUCKET.s3.…amazonaws.com` into the form `/BUCKET/…`."""
    host = environ.get("HTTP_HOST", "")
    found = re.fullmatch(r"(.+?)\.(?:localhost|s3[.-][a-z0-9.-]*amazonaws\.com)(:[0-9]+)?", host)
    if found and found[1] != "s3":
        environ["PATH_INFO"] = f"/{found[1]}{environ.get('PATH_INFO', '/')}"
        for name in ("RAW_URI", "REQUEST_URI"):
            if name in environ:
                environ[name] = f"/{found[1]}{environ[name]}"
        environ["HTTP_HOST"] = f"localhost{found[2] or ''}"


def understood(environ: Mapping[str, str], body: bytes) -> S3Request:
    """What a request asks of S3; the body matters for the deletion of many objects only."""
    # WSGI hands the path's bytes over as Latin-1.
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")
    bucket, _, key = path.lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    method = environ["REQUEST_METHOD"]
    if not bucket:
        return S3Request("ListBuckets", (Permission("s3:ListAllMyBuckets"),))
    if key:
        return _of_object(environ, method, bucket, key, query)
    return _of_bucket(method, bucket, query, body)


def _of_bucket(method: str, bucket: str, query: Mapping[str, list[str]], body: bytes) -> S3Request:
    arn = f"arn:aws:s3:::{bucket}"
    if method == "POST" and "delete" in query:
        root = ElementTree.fromstring(body)
        keys = [each.text or "" for each in root.iter() if each.tag.rpartition("}")[2] == "Key"]
        return S3Request("DeleteObjects", tuple(Permission("s3:DeleteObject", f"{arn}/{key}") for key in keys), bucket)
    part = next((name for name in _BUCKET_ACTIONS if name in query), None)
    if part is not None:
        action = _BUCKET_ACTIONS[part]
        action = action if action.startswith(("List", "Get")) else _VERBS[method] + action
        return S3Request(action, (Permission(f"s3:{action}", arn),), bucket)
    operation, action = _PLAIN.get(method, ("PostObject", "PutObject"))
    context = {"s3:prefix": query.get("prefix", [""])} if action == "ListBucket" else {}
    return S3Request(operation, (Permission(f"s3:{action}", arn, context),), bucket)


def _of_object(
    environ: Mapping[str, str], method: str, bucket: str, key: str, query: Mapping[str, list[str]]
) -> S3Request:
    arn = f"arn:aws:s3:::{bucket}/{key}"
    operation, action = _operation_on_object(environ, method, query)
    needed = [Permission(f"s3:{action}", arn, _conditions(environ))]
    if action in ("GetObject", "GetObjectVersion"):
        needed += _decryption(bucket, key)
    elif action == "PutObject":
        needed += _encryption(environ, bucket)
    source = environ.get("HTTP_X_AMZ_COPY_SOURCE")
    if source:
        name, _, version = unquote(source).lstrip("/").partition("?versionId=")
        reading = "s3:GetObjectVersion" if version else "s3:GetObject"
        needed += [Permission(reading, f"arn:aws:s3:::{name}"), *_decryption(*name.split("/", 1))]
    return S3Request(operation, tuple(needed), bucket)


def _operation_on_object(environ: Mapping[str, str], method: str, query: Mapping[str, list[str]]) -> tuple[str, str]:
    """The operation's name in the API and the action that permits it."""
    version = "Version" if "versionId" in query else ""
    if "tagging" in query:
        return f"{_VERBS[method]}ObjectTagging", f"{_VERBS[method]}Object{version}Tagging"
    if "acl" in query:
        return f"{_VERBS[method]}ObjectAcl", f"{_VERBS[method]}Object{version}Acl"
    match method:
        case "GET" if "uploadId" in query:
            return "ListParts", "ListMultipartUploadParts"
        case "GET" | "HEAD":
            return ("HeadObject" if method == "HEAD" else "GetObject"), f"GetObject{version}"
        case "DELETE" if "uploadId" in query:
            return "AbortMultipartUpload", "AbortMultipartUpload"
        case "DELETE":
            return "DeleteObject", f"DeleteObject{version}"
        case "POST" if "uploads" in query:
            return "CreateMultipartUpload", "PutObject"
        case "POST" if "uploadId" in query:
            return "CompleteMultipartUpload", "PutObject"
        case "PUT" if "uploadId" in query:
            return "UploadPart", "PutObject"
        case "PUT" if "HTTP_X_AMZ_COPY_SOURCE" in environ:
            return "CopyObject", "PutObject"
    return "PutObject", "PutObject"


def _conditions(environ: Mapping[str, str]) -> dict[str, list[str]]:
    headers = {
        "s3:x-amz-server-side-encryption": "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION",
        "s3:x-amz-server-side-encryption-aws-kms-key-id": _KMS_HEADER,
        "s3:if-none-match": "HTTP_IF_NONE_MATCH",
    }
    return {name: [environ[header]] for name, header in headers.items() if header in environ}


def _decryption(bucket: str, key: str) -> list[Permission]:
    """Reading an object that a key encrypts needs that key too."""
    kept = backends.bucket(bucket)
    found = kept.keys.get(key) if kept else None
    name = getattr(found, "kms_key_id", None)
    return _of_key("kms:Decrypt", name)


def _encryption(environ: Mapping[str, str], bucket: str) -> list[Permission]:
    """Writing with a key, the request's or the bucket's default, needs that key too."""
    kept = backends.bucket(bucket)
    rule = (kept.encryption or {}).get("Rule", {}) if kept else {}
    default = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
    return _of_key("kms:GenerateDataKey", environ.get(_KMS_HEADER) or default)


def _of_key(action: str, name: str | None) -> list[Permission]:
    """The right to use a key: policies speak of the key, not of its alias; AWS's own is everybody's, through S3."""
    if not name or not name.startswith("arn:") or name.endswith(":alias/aws/s3"):
        return []
    key = backends.key(name)
    return [Permission(action, str(key.arn) if key else name)]
