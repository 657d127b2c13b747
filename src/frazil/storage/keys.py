"""Object keys, and how they are spelled in file names and in the cloud.

A key is one or more segments joined by `/`; a segment is any text that is not empty, `.`
or `..`. In the storage each segment is percent-encoded as the object-store layer of
Icechunk does it: everything but printable ASCII, and the characters of `_ESCAPED`. So the
spelling never holds a `#`, and files whose name has one are free for other uses: both
Icechunk and Frazil take them for unfinished writes and list none of them.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from frazil.errors import ErrorKind, InvalidInputError

_ESCAPED = frozenset('"#%*<>?[\\]^`{|}~')
_PLAIN = re.compile(r"(?!\.\.?(?:/|$))[A-Za-z0-9._-]+(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._-]+)*")


def encode_key(key: str) -> str:
    """The spelling of a key in the storage; `InvalidInputError` for what is no key."""
    if _PLAIN.fullmatch(key):
        return key
    return "/".join([_encode_segment(segment, key) for segment in key.split("/")])


def decode_key(spelling: str) -> str | None:
    """The key with this spelling, or None if no key is spelled so."""
    if _PLAIN.fullmatch(spelling):
        return spelling
    try:
        key = unquote_to_bytes(spelling).decode()
        return key if encode_key(key) == spelling else None
    except (UnicodeDecodeError, InvalidInputError):
        return None


def _encode_segment(segment: str, key: str) -> str:
    if segment in ("", ".", ".."):
        raise InvalidInputError(
            f"invalid object key {key!r}: its segment {segment!r} is not a name; "
            "a key is names joined by single slashes, without '.' and '..'",
            ErrorKind.INVALID_PATH,
        )
    try:
        raw = segment.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"invalid object key {key!r}: it is not valid Unicode", ErrorKind.INVALID_PATH
        ) from None
    return "".join(
        chr(b) if 0x20 <= b < 0x7F and chr(b) not in _ESCAPED else f"%{b:02X}" for b in raw
    )


def folder_prefix(prefix: str) -> str:
    """What the keys below the folder `prefix` start with; a slash at its end is fine."""
    folder = prefix.removesuffix("/")
    if folder:
        encode_key(folder)
        return folder + "/"
    return ""
