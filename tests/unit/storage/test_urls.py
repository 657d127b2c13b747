"""URLs of repositories: what they say, and that they never say secrets."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import StorageError
from frazil.storage.settings import ChecksumAlgorithm
from frazil.storage.urls import OPTIONS, SECRETS, Address, masked, parse_url


def _said(url: str, **arguments: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    address = parse_url(url, **arguments)
    return address.constructor, dict(address.place), dict(address.options)


@pytest.mark.parametrize(
    ("url", "constructor", "place"),
    [
        ("s3://b/p", "s3_storage", {"bucket": "b", "prefix": "p"}),
        ("S3://My.Bucket/p/q/", "s3_storage", {"bucket": "My.Bucket", "prefix": "p/q"}),
        ("s3://b", "s3_storage", {"bucket": "b", "prefix": None}),
        ("s3://b/", "s3_storage", {"bucket": "b", "prefix": None}),
        ("s3://b/a%20b%23c%3F", "s3_storage", {"bucket": "b", "prefix": "a b#c?"}),
        ("r2://b/p", "r2_storage", {"bucket": "b", "prefix": "p"}),
        ("tigris://b/p", "tigris_storage", {"bucket": "b", "prefix": "p"}),
        ("hf://n/b/p/q", "hf_storage", {"namespace": "n", "bucket": "b", "prefix": "p/q"}),
        ("hf://n/b", "hf_storage", {"namespace": "n", "bucket": "b", "prefix": None}),
        ("gs://b/p", "gcs_storage", {"bucket": "b", "prefix": "p"}),
        ("gcs://b/p", "gcs_storage", {"bucket": "b", "prefix": "p"}),
        ("az://a/c/p/q", "azure_storage", {"account": "a", "container": "c", "prefix": "p/q"}),
        ("azure://a/c", "azure_storage", {"account": "a", "container": "c", "prefix": None}),
        ("az://c/p?account=a", "azure_storage", {"account": "a", "container": "c", "prefix": "p"}),
        (
            "abfss://c@a.dfs.core.windows.net/p",
            "azure_storage",
            {"account": "a", "container": "c", "prefix": "p"},
        ),
        (
            "abfs://c/p?account=a",
            "azure_storage",
            {"account": "a", "container": "c", "prefix": "p"},
        ),
        ("https://h/p?sig=x#y", "http_storage", {"base_url": "https://h/p?sig=x#y"}),
        ("redirect+http://h/p", "redirect_storage", {"base_url": "http://h/p"}),
        ("file:///a%20b/c", "local_filesystem_storage", {"path": "/a b/c"}),
        ("file://localhost/a", "local_filesystem_storage", {"path": "/a"}),
        ("file:/a", "local_filesystem_storage", {"path": "/a"}),
        ("/a%20b?c#d", "local_filesystem_storage", {"path": "/a%20b?c#d"}),
        ("a:b", "local_filesystem_storage", {"path": "a:b"}),
        ("repo", "local_filesystem_storage", {"path": "repo"}),
        ("memory:", "in_memory_storage", {"name": None}),
        ("memory://", "in_memory_storage", {"name": None}),
        ("memory:a/b", "in_memory_storage", {"name": "a/b"}),
        ("memory://a/b", "in_memory_storage", {"name": "a/b"}),
    ],
)
def test_places(url: str, constructor: str, place: dict[str, Any]) -> None:
    assert _said(url) == (constructor, place, {})


@pytest.mark.skipif(os.name == "nt", reason="paths of Windows are checked there")
def test_a_drive_of_windows_is_a_path() -> None:
    assert _said(r"C:\data\repo")[1] == {"path": r"C:\data\repo"}


def test_a_path_object_is_a_path_whatever_it_looks_like() -> None:
    path = Path("s3:") / "bucket"
    assert parse_url(path) == Address("local_filesystem_storage", {"path": str(path)}, {})


def test_an_account_beside_the_url() -> None:
    place = {"account": "a", "container": "c", "prefix": "p"}
    assert _said("az://c/p", account="a")[1] == place
    assert _said("az://c/p?account=a", account="other")[1] == place


def test_options() -> None:
    url = (
        "s3://b/p?region=eu-west-1&endpoint_url=http://127.0.0.1:9000&allow_http=true&anonymous=1"
        "&force_path_style=TRUE&requester_pays=false&network_stream_timeout_seconds=5"
        "&checksum_algorithm=crc32c"
    )
    assert _said(url)[2] == {
        "region": "eu-west-1",
        "endpoint_url": "http://127.0.0.1:9000",
        "allow_http": True,
        "anonymous": True,
        "force_path_style": True,
        "requester_pays": False,
        "network_stream_timeout_seconds": 5,
        "checksum_algorithm": ChecksumAlgorithm.Crc32c,
    }
    assert _said("gs://b/p?service_account_file=%2Fkeys%2Fa.json")[2] == {
        "service_account_file": "/keys/a.json"
    }


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("s4://b/p", "cannot-parse-url", r"s4:// is unknown; there are s3://, .*memory: and paths"),
        ("s3:/b/p", "cannot-parse-url", "must start with s3://"),
        ("s3:b", "cannot-parse-url", "must start with s3://"),
        ("s3:///p", "cannot-parse-url", "names no bucket"),
        ("s3://b/p#q", "cannot-parse-url", "write # in names as %23"),
        ("s3://[b/p", "cannot-parse-url", "Invalid IPv6"),
        ("az://a", "cannot-parse-url", "names no container"),
        ("az://a/", "cannot-parse-url", "names no container"),
        ("abfs://c/p", "cannot-parse-url", r"add \?account="),
        ("hf://n", "cannot-parse-url", "names no bucket"),
        ("file://other/a", "cannot-parse-url", "three slashes"),
        ("s3://b/p?regoin=x", "storage-config", "'regoin' is unknown; there are region, "),
        ("s3://b/p?region=x&region=y", "storage-config", "'region' is there twice"),
        ("s3://b/p?region=", "storage-config", "'region' cannot be '': it is empty"),
        ("s3://b/p?anonymous", "storage-config", "'anonymous' cannot be '': it takes true or"),
        ("s3://b/p?anonymous=yes", "storage-config", "it takes true or false"),
        ("s3://b/p?checksum_algorithm=md5", "storage-config", "one of Crc32, Crc32c, "),
        ("s3://b/p?network_stream_timeout_seconds=-1", "storage-config", "a whole number"),
        ("memory:a?b=c", "storage-config", "'b' is unknown"),
        ("file:///a?b=c", "storage-config", "'b' is unknown"),
    ],
)
def test_what_cannot_be(url: str, kind: str, says: str) -> None:
    with pytest.raises(StorageError, match=says) as caught:
        parse_url(url)
    assert caught.value.kind == kind


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("scheme", ["s3://b/p", "gs://b/p", "az://a/c/p", "hf://n/b/p"])
def test_secrets_are_refused_and_not_repeated(scheme: str, name: str) -> None:
    with pytest.raises(StorageError, match=f"'{name}' is a secret") as caught:
        parse_url(f"{scheme}?from_env=false&{name}=hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://id:hush@b/p",
        "az://id:hush@a/c",
        "abfs://c:hush@a.net/p",
        "gs://hush@b/p?anonymous=true",
    ],
)
def test_what_is_before_an_at_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StorageError, match="take what is before the @ out of it") as caught:
        parse_url(url)
    assert "hush" not in str(caught.value)


def test_masked() -> None:
    assert masked("https://id:hush@h/p?sig=hush") == "https://…@h/p?…"
    assert masked("/a@b") == "/a@b"


def test_a_type_that_is_no_path() -> None:
    with pytest.raises(TypeError):
        parse_url(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is a str, not bytes"):
        parse_url(b"s3://b/p")  # type: ignore[arg-type]


@given(st.text())
def test_any_text_is_a_place_or_an_error_of_ours(text: str) -> None:
    for url in (text, f"s3://{text}", f"az://a/{text}", f"s3://b/p?{text}", f"file://{text}"):
        with suppress(StorageError):
            parse_url(url)


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: "/" not in name))
def test_any_prefix_can_be_said(prefix: str) -> None:
    assert parse_url(f"s3://b/{quote(prefix, safe='')}").place["prefix"] == prefix


def test_no_option_is_a_secret() -> None:
    assert not SECRETS & {name for options in OPTIONS.values() for name in options}
