"""Storages from URLs: the same as from the functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import frazil
from frazil.errors import StorageError
from frazil.storage.from_url import _CONSTRUCTORS, storage_from_url
from frazil.storage.urls import OPTIONS


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_an_argument(name: str) -> None:
    assert OPTIONS[name].keys() <= inspect.signature(_CONSTRUCTORS[name]).parameters.keys()


@pytest.mark.parametrize(
    ("url", "same"),
    [
        (
            "s3://b/p?region=eu-west-1&anonymous=true",
            lambda: frazil.s3_storage(bucket="b", prefix="p", region="eu-west-1", anonymous=True),
        ),
        (
            "s3://b/p?endpoint_url=http://127.0.0.1:1&allow_http=true&force_path_style=true",
            lambda: frazil.s3_storage(
                bucket="b",
                prefix="p",
                endpoint_url="http://127.0.0.1:1",
                allow_http=True,
                force_path_style=True,
            ),
        ),
        (
            "r2://b/p?account_id=a",
            lambda: frazil.r2_storage(bucket="b", prefix="p", account_id="a"),
        ),
        (
            "tigris://b/p?use_weak_consistency=true",
            lambda: frazil.tigris_storage(bucket="b", prefix="p", use_weak_consistency=True),
        ),
        (
            "hf://n/b/p?from_env=true",
            lambda: frazil.hf_storage(namespace="n", bucket="b", prefix="p", from_env=True),
        ),
        (
            "gs://b/p?anonymous=true",
            lambda: frazil.gcs_storage(bucket="b", prefix="p", anonymous=True),
        ),
        ("az://a/c/p", lambda: frazil.azure_storage(account="a", container="c", prefix="p")),
        ("az://a/c", lambda: frazil.azure_storage(account="a", container="c", prefix="")),
        ("https://h/p?sig=x", lambda: frazil.http_storage("https://h/p?sig=x")),
        ("redirect+https://h/p", lambda: frazil.redirect_storage("https://h/p")),
        ("file:///a/b", lambda: frazil.local_filesystem_storage("/a/b")),
        ("a/b", lambda: frazil.local_filesystem_storage("a/b")),
    ],
)
def test_urls_make_the_same_storages(url: str, same: Callable[[], frazil.Storage]) -> None:
    assert storage_from_url(url) == same()


def test_arguments_go_before_the_url() -> None:
    keys = {"access_key_id": "id", "secret_access_key": "hush"}
    made = storage_from_url("s3://b/p?region=eu-west-1", region="us-east-1", **keys, headers=None)
    assert made == frazil.s3_storage(bucket="b", prefix="p", region="us-east-1", **keys)
    made = storage_from_url("az://c/p", account="a", access_key="hush")
    assert made == frazil.azure_storage(account="a", container="c", prefix="p", access_key="hush")
    made = storage_from_url("http://h/p", opts={"timeout": "3s"}, headers={"X": "y"})
    assert made == frazil.http_storage("http://h/p", {"timeout": "3s"}, {"X": "y"})


@pytest.mark.parametrize(
    ("url", "arguments", "says"),
    [
        ("s3://b/p", {"regoin": "x"}, "'regoin' for 's3://b/p': it is unknown; there are region, "),
        (
            "s3://b/p?region=x",
            {"bucket": "c"},
            r"'bucket' for 's3://b/p\?…': it is said by the URL",
        ),
        ("a/b", {"region": "x"}, "it is unknown; there are none"),
        ("https://h/p?sig=hush", {"region": "hush"}, "'region' for 'https"),
    ],
)
def test_arguments_that_cannot_be(url: str, arguments: dict[str, str], says: str) -> None:
    with pytest.raises(StorageError, match=says) as caught:
        storage_from_url(url, **arguments)
    assert caught.value.kind == "storage-config"
    assert "hush" not in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    here = frazil.local_filesystem_storage(str(tmp_path / "a b"))
    assert storage_from_url(tmp_path / "a b") == here
    assert storage_from_url((tmp_path / "a b").as_uri()) == here


def test_memories_are_the_same_by_their_names() -> None:
    assert storage_from_url("memory:from-url-1") == storage_from_url("memory://from-url-1")
    assert storage_from_url("memory:from-url-1") != storage_from_url("memory:from-url-2")
    assert storage_from_url("memory:") != storage_from_url("memory:")
