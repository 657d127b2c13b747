"""Whatever a location looks like, what it names is in the container that covers it."""

from __future__ import annotations

import posixpath
from urllib.parse import quote, unquote, urljoin

from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import InvalidInputError
from frazil.model.virtual_urls import Containers
from frazil.storage.object_stores import http_store, local_filesystem_store, s3_store
from frazil.urls import canonical
from frazil.virtual import VirtualChunkContainer

FILES = VirtualChunkContainer("file:///data/in side/", local_filesystem_store("/data"), "files")
WEB = VirtualChunkContainer("http://host/data/", http_store(), "web")
BUCKET = VirtualChunkContainer("s3://bucket/data/", s3_store(), "bucket")
CONTAINERS = Containers([FILES, WEB, BUCKET])

STARTS = [
    "file:///data/in side/",
    "file:/data/in%20side/",
    "vcc://files/",
    "file://localhost/data/",
]
STARTS += [
    "http://host/data/",
    "HTTP://host/data/",
    "vcc://web/",
    "http://host/data",
    "vcc://bucket/",
]
STARTS += ["s3://bucket/data/", "S3://bucket/data", "s3://bucket/", "file:", "//", ""]
PIECES = [
    "..",
    ".",
    "%2e",
    "%2E%2e",
    "/",
    "%2f",
    "\\",
    "%5c",
    "a",
    "%25",
    "%2525",
    "?",
    "#",
    "@",
    ":",
]
PIECES += ["%00", "\t", "\n", " ", "é", "%c3", "data", "host", "%", ";", "in side", "~"]
LOCATIONS = st.builds(
    lambda start, pieces: start + "".join(pieces),
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PIECES), max_size=8),
)


@given(LOCATIONS)
def test_there_is_no_way_out(location: str) -> None:
    try:
        target = CONTAINERS.target(location)
    except InvalidInputError:
        return
    path = "/" + target.key
    assert path.startswith("/data/in side/" if target.container is FILES else "/data/")
    assert posixpath.normpath(path) == path
    assert "\0" not in path
    if target.container is WEB:
        # Nor for those who resolve URLs once more on the way.
        url = urljoin("http://host/", quote(target.key, errors="surrogateescape"))
        assert url.startswith("http://host/data/")
        assert unquote(url, errors="surrogateescape") == f"http://host{path}"


@given(LOCATIONS)
def test_the_stored_form_is_final(location: str) -> None:
    try:
        stored = canonical(location)
    except InvalidInputError:
        return
    assert canonical(stored) == stored
