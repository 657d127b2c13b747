"""Which URLs name files, and which of them a container covers."""

from __future__ import annotations

import pytest

from frazil.errors import InvalidInputError
from frazil.model.virtual_urls import Containers
from frazil.storage.object_stores import (
    azure_store,
    gcs_store,
    http_store,
    local_filesystem_store,
    s3_store,
)
from frazil.urls import canonical
from frazil.virtual import VirtualChunkContainer

S3, HTTP, FILES = s3_store(), http_store(), local_filesystem_store("/x")
CONTAINERS = Containers(
    [
        VirtualChunkContainer("s3://bucket/", S3),
        VirtualChunkContainer("s3://data/", S3),
        VirtualChunkContainer("s3://named/x/", S3, "named"),
        VirtualChunkContainer("file:///src/", FILES, "files"),
        VirtualChunkContainer("file:///src/deep/er/", FILES),
        VirtualChunkContainer("http://host:8080/", HTTP),
        VirtualChunkContainer("https://host:443/d/", HTTP),
        VirtualChunkContainer("gs://g/", gcs_store()),
        VirtualChunkContainer("az://c/", azure_store(account="a")),
    ]
)
NO_CONTAINER, INVALID = "no-container-for-virtual-chunk", "invalid-virtual-ref"

STORED = [
    ("s3://bucket/a", "s3://bucket/a"),
    ("S3://bucket/a", "s3://bucket/a"),
    ("s3://bucket/", "s3://bucket/"),
    ("s3://bucket/a b", "s3://bucket/a b"),
    ("s3://bucket/a%20b", "s3://bucket/a%20b"),
    ("s3://bucket/a/../b", "s3://bucket/a/../b"),
    ("s3://bucket/a//b", "s3://bucket/a//b"),
    ("s3://bucket/é?x=1#f", "s3://bucket/é?x=1#f"),
    ("s3://bucket/%2e%2e/a", "s3://bucket/%2e%2e/a"),
    ("http://host:8080/a", "http://host:8080/a"),
    ("https://host:443/d/x", "https://host:443/d/x"),
    ("gs://g/a", "gs://g/a"),
    ("az://c/x", "az://c/x"),
    ("file:///src/f", "file:///src/f"),
    ("file:/src/f", "file:///src/f"),
    ("FILE://localhost/src/f", "file:///src/f"),
    ("file:///src/a b/é", "file:///src/a%20b/%C3%A9"),
    ("file:///src/x/../f", "file:///src/f"),
    ("file:///src/x/%2E./f", "file:///src/f"),
    ("file:///src/./%2e/f", "file:///src/f"),
    ("file:///src/%66", "file:///src/%66"),
    ("file:///src/a?b#c", "file:///src/a?b#c"),
    ('file:///src/a"<>`{}|\\^[]', "file:///src/a%22%3C%3E%60%7B%7D|/^[]"),
    ("vcc://named/a", "vcc://named/a"),
    ("VCC://named/a", "vcc://named/a"),
    ("vcc://files/a b", "vcc://files/a b"),
]
"""What icechunk 2.3 stores for a location, seen."""


@pytest.mark.parametrize(("location", "stored"), STORED)
def test_what_is_stored(location: str, stored: str) -> None:
    assert CONTAINERS.check(location) == stored
    assert canonical(location) == stored


REFUSED = [
    ("s3://BUCKET/a", NO_CONTAINER),
    ("s3://bucket", NO_CONTAINER),
    ("s3://bucket:80/a", NO_CONTAINER),
    ("s3://user@bucket/a", NO_CONTAINER),
    ("s3://bucke%74/a", NO_CONTAINER),
    ("s3://bucket\\a", NO_CONTAINER),
    ("s3://data-private/a", NO_CONTAINER),
    ("s3://dat/a", NO_CONTAINER),
    ("http://host/a", NO_CONTAINER),
    ("http://host:80801/a", NO_CONTAINER),
    ("http://host:8080", NO_CONTAINER),
    ("https://host/d/x", NO_CONTAINER),
    ("gcs://g/a", NO_CONTAINER),
    ("ftp://x/a", NO_CONTAINER),
    ("file:///src/../x", NO_CONTAINER),
    ("file:///src/%2e%2E/x", NO_CONTAINER),
    ("file:///srcs/x", NO_CONTAINER),
    ("file://elsewhere/src/x", NO_CONTAINER),
    ("vcc://nobody/a", NO_CONTAINER),
    ("vcc://named", NO_CONTAINER),
    ("vcc:///a", NO_CONTAINER),
    ("vcc://files/../x", NO_CONTAINER),
    ("s3:///x", INVALID),
    ("s3:bucket/a", INVALID),
    ("/src/f", INVALID),
    ("f", INVALID),
    ("", INVALID),
    ("http://host:8080/a/../b", INVALID),
    ("http://host:8080/%2e%2e/b", INVALID),
    ("gs://g/a//b", INVALID),
    ("az://c/a%2F..%2Fb", INVALID),
    ("file:///src/x/..%2f..%2fetc", INVALID),
    ("file:///src//f", INVALID),
    ("file:///src/a%00b", INVALID),
]


@pytest.mark.parametrize(("location", "kind"), REFUSED)
def test_what_is_refused(location: str, kind: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        CONTAINERS.check(location)
    assert caught.value.kind == kind
    assert repr(location) in caught.value.message or location in caught.value.message
    with pytest.raises(InvalidInputError) as caught:
        CONTAINERS.target(location)


@pytest.mark.parametrize(
    "location",
    [
        "s3://bucket/a/../b",
        "s3://bucket/%2e%2E/b",
        "s3://data/x/.",
        "s3://data/a//b",
        "s3://data//a",
        "s3://data/a/",
        "s3://data/",
    ],
)
def test_odd_s3_keys_are_stored_but_not_followed(location: str) -> None:
    assert CONTAINERS.check(location) == location
    with pytest.raises(InvalidInputError) as caught:
        CONTAINERS.target(location)
    assert caught.value.kind == INVALID


@pytest.mark.parametrize(
    ("location", "prefix", "host", "key"),
    [
        ("s3://bucket/a%20b%2Fc?x#y", "s3://bucket/", "bucket", "a b/c"),
        ("s3://bucket/50%", "s3://bucket/", "bucket", "50%"),
        ("http://host:8080/%252e", "http://host:8080/", "host:8080", "%2e"),
        ("file:///src/deep/f", "file:///src/", "", "src/deep/f"),
        ("file:///src/deep/er/f", "file:///src/deep/er/", "", "src/deep/er/f"),
        ("vcc://named/a/b", "s3://named/x/", "named", "x/a/b"),
        ("vcc://files/a b", "file:///src/", "", "src/a b"),
        ("vcc://files/deep/er/f", "file:///src/deep/er/", "", "src/deep/er/f"),
    ],
)
def test_what_a_location_names(location: str, prefix: str, host: str, key: str) -> None:
    target = CONTAINERS.target(location)
    assert (target.container.url_prefix, target.host, target.key) == (prefix, host, key)


def test_a_relative_location_stays_in_its_own_container() -> None:
    containers = Containers(
        [
            VirtualChunkContainer("file:///a/", FILES, "a"),
            VirtualChunkContainer("file:///b/", FILES, "b"),
        ]
    )
    assert containers.target("file:///a/../b/f").key == "b/f"
    with pytest.raises(InvalidInputError) as caught:
        containers.target("vcc://a/../b/f")
    assert caught.value.kind == NO_CONTAINER


def test_absolute_locations() -> None:
    assert CONTAINERS.absolute("vcc://named/a b") == "s3://named/x/a b"
    assert CONTAINERS.absolute("s3://anywhere/a") == "s3://anywhere/a"
