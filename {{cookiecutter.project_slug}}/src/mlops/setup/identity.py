"""The identity of a GitHub App: a token signed with its key, by which GitHub tells what has become of the App.

RS256 is RSA with PKCS #1 v1.5 padding of a SHA-256 digest (RFC 7518, RFC 8017): a power of a number, for which no
library is asked for that nothing else here needs.
"""

import base64
import hashlib
import json
import re
import time
from typing import Any

from mlops.errors import Failure

LIFETIME_SECONDS = 300
"""GitHub takes ten minutes at most."""

DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""What stands before a SHA-256 digest in the padding."""

PEM = re.compile(
    r"-----BEGIN (?P<rsa>RSA )?PRIVATE KEY-----(?P<body>[A-Za-z0-9+/=\s]+)-----END (RSA )?PRIVATE KEY-----"
)


def token(app_id: str, private_key: str) -> str:
    """What an App identifies itself with, for some minutes.

    Raises:
        Failure: its key is none.
    """
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + LIFETIME_SECONDS, "iss": app_id}
    text = f"{encoded(json.dumps({'alg': 'RS256', 'typ': 'JWT'}).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{text}.{encoded(signed(text.encode(), *parts(private_key)))}"


def signed(message: bytes, modulus: int, exponent: int) -> bytes:
    """The signature of a message by a key's modulus and private exponent."""
    length = (modulus.bit_length() + 7) // 8
    end = DIGEST_INFO + hashlib.sha256(message).digest()
    padded = b"\x00\x01" + b"\xff" * (length - len(end) - 3) + b"\x00" + end
    return pow(int.from_bytes(padded, "big"), exponent, modulus).to_bytes(length, "big")


def parts(private_key: str) -> tuple[int, int]:
    """Modulus and private exponent of a key in PEM, as GitHub gives it (PKCS #1) or converted (PKCS #8).

    Raises:
        Failure: it is no such key.
    """
    match = PEM.search(private_key)
    try:
        content = base64.b64decode(match["body"] if match else "", validate=False)
        values = numbers(content)
        if match and not match["rsa"]:
            # A version, what kind of key it is, and the key itself in an octet string.
            values = numbers(bytes(values[2]))
        modulus, exponent = values[1], values[3]
        if isinstance(modulus, int) and isinstance(exponent, int) and modulus.bit_length() >= 1024:
            return modulus, exponent
    except (ValueError, IndexError, TypeError):
        pass
    raise Failure("the App's private_key is no RSA key in PEM")


def numbers(content: bytes) -> list[Any]:
    """The members of a sequence in DER: numbers as such, of everything else its bytes.

    Raises:
        ValueError: it is none.
        IndexError: it ends too early.
    """
    kind, whole, _ = member(content, 0)
    if kind != 0x30:
        raise ValueError("no sequence")
    found: list[Any] = []
    at = 0
    while at < len(whole):
        kind, value, at = member(whole, at)
        found.append(int.from_bytes(value, "big") if kind == 0x02 else value)
    return found


def member(content: bytes, at: int) -> tuple[int, bytes, int]:
    """One member: its kind, its bytes, and where the next one begins."""
    kind, size = content[at], content[at + 1]
    start = at + 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(content[start : start + count], "big")
        start += count
    return kind, content[start : start + size], start + size


def encoded(content: bytes) -> str:
    """Bytes as a token holds them."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
