"""moto's backends: reached by account, and kept in the state folder between two runs of the sandbox.

moto is imported inside the functions: it takes longer than everything else at the start.
"""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path
from typing import Any

KEPT = ("s3", "iam", "events", "cloudwatch", "logs", "applicationautoscaling")
"""The services whose backends pickle; what is in the others ends with the sandbox, keys of KMS too."""

_TRIES = 5


def backends(service: str) -> Any:
    """moto's backends of a service: `backends("events")[account][region]`."""
    from moto.backends import get_backend

    return get_backend(service)  # type: ignore[call-overload]


def of_account(service: str, account: str) -> Any:
    """The backend of a service that has no regions, in one account: iam, s3."""
    return backends(service)[account]["aws"]


def role(account: str, name: str) -> Any | None:
    """A role by its name, or None."""
    return next((each for each in of_account("iam", account).roles.values() if each.name == name), None)


def bucket(name: str) -> Any | None:
    """A bucket by its name, wherever its account, or None."""
    known = backends("s3")
    partition, account = known.bucket_accounts.get(name, (None, None))
    return known[account][partition].buckets.get(name) if account else None


def key(arn: str) -> Any | None:
    """A KMS key by its ARN or its alias's, or None."""
    _, _, _, region, account, name = arn.split(":", 5)
    backend = backends("kms")[account][region]
    found = backend.get_key_id_from_alias(name) if name.startswith("alias/") else name.removeprefix("key/")
    return backend.keys.get(str(found).removeprefix("key/"))


def save(folder: Path) -> float:
    """Write the backends that are loaded; answers how many seconds it took."""
    started = time.perf_counter()
    for service in KEPT:
        if f"moto.{service}.models" in sys.modules:
            beside = folder / f"{service}.new"
            beside.write_bytes(_pickled(service))
            beside.replace(folder / f"{service}.pickle")
    return time.perf_counter() - started


def restore(folder: Path) -> None:
    """Take up what an earlier run saved."""
    for service in KEPT:
        file = folder / f"{service}.pickle"
        if file.exists():
            for account, regions in pickle.loads(file.read_bytes()).items():
                known = backends(service)[account]
                for region, backend in regions.items():
                    dict.__setitem__(known, region, backend)
    if (folder / "s3.pickle").exists():
        _restore_bucket_owners()


def _restore_bucket_owners() -> None:
    known = backends("s3")
    for account in list(known):
        for partition, backend in known[account].items():
            known.bucket_accounts.update(dict.fromkeys(backend.buckets, (partition, account)))


def _pickled(service: str) -> bytes:
    for _ in range(_TRIES):
        try:
            kept = {account: dict(regions) for account, regions in dict(backends(service)).items()}
            return pickle.dumps(kept, protocol=pickle.HIGHEST_PROTOCOL)
        except RuntimeError:  # A request changed a dictionary meanwhile: take the next moment.
            time.sleep(0.01)
    raise RuntimeError(f"the state of {service} did not hold still for a save")
