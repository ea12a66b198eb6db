"""Lists as SageMaker gives them: filtered by time and name, sorted, a page at a time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from sandbox.documents import Document
from sandbox.operations import Refusal

DEFAULT_SIZE = 10


def page(found: Iterable[Document], parameters: dict[str, Any], name: str) -> tuple[list[Document], dict[str, str]]:
    """One page of documents, and the NextToken member that leads to the next one, if there is one.

    Args:
        found: the documents to choose from.
        parameters: of the call: NameContains, CreationTimeAfter and so on, SortBy, SortOrder, MaxResults, NextToken.
        name: the member of a document that holds its name.
    """
    chosen = [each for each in found if _wanted(each, parameters, name)]
    by_name = parameters.get("SortBy") == "Name"
    descending = parameters.get("SortOrder", "Ascending" if by_name else "Descending") == "Descending"
    chosen.sort(key=lambda each: each[name] if by_name else (each["CreationTime"], each[name]), reverse=descending)
    start = _position(parameters.get("NextToken"))
    end = start + parameters.get("MaxResults", DEFAULT_SIZE)
    more = {"NextToken": base64.b64encode(f"from {end}".encode()).decode()} if end < len(chosen) else {}
    return chosen[start:end], more


def _wanted(document: Document, parameters: dict[str, Any], name: str) -> bool:
    made = document["CreationTime"]
    changed = document.get("LastModifiedTime", made)
    return (
        parameters.get("NameContains", "").lower() in str(document[name]).lower()
        and not ("CreationTimeAfter" in parameters and made <= parameters["CreationTimeAfter"])
        and not ("CreationTimeBefore" in parameters and made >= parameters["CreationTimeBefore"])
        and not ("LastModifiedTimeAfter" in parameters and changed <= parameters["LastModifiedTimeAfter"])
        and not ("LastModifiedTimeBefore" in parameters and changed >= parameters["LastModifiedTimeBefore"])
    )


def _position(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token).decode().removeprefix("from "))
    except (ValueError, binascii.Error) as error:
        raise Refusal("ValidationException", "Invalid NextToken") from error
