"""Kinds of storage for virtual chunks as values and in configuration documents."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from frazil.errors import FormatError
from frazil.storage import (
    AnyObjectStoreConfig,
    ChecksumAlgorithm,
    ObjectStoreConfig,
    S3Options,
    azure_store,
    gcs_store,
    http_store,
    local_filesystem_store,
    s3_store,
)

S3_DOCUMENT = {
    "region": "us-east-1",
    "endpoint_url": "http://x",
    "anonymous": True,
    "allow_http": True,
    "force_path_style": True,
    "network_stream_timeout_seconds": 60,
    "requester_pays": True,
    "checksum_algorithm": "crc32c",
}
S3_ARGUMENTS: dict[str, Any] = {
    **{k: v for k, v in S3_DOCUMENT.items() if k != "network_stream_timeout_seconds"},
    "checksum_algorithm": ChecksumAlgorithm.Crc32c,
}

STORES: list[tuple[AnyObjectStoreConfig, Any]] = [
    (ObjectStoreConfig.InMemory(), "in_memory"),
    (local_filesystem_store("/data"), {"local_file_system": "/data"}),
    (s3_store(**S3_ARGUMENTS), {"s3": S3_DOCUMENT}),
    (s3_store(s3_compatible=True, **S3_ARGUMENTS), {"s3_compatible": S3_DOCUMENT}),
    (ObjectStoreConfig.Tigris(S3Options()), {"tigris": S3Options().to_document()}),
    (gcs_store(), {"gcs": {}}),
    (gcs_store({"a": "b"}), {"gcs": {"a": "b"}}),
    (azure_store(account="x", config={"z": "1"}), {"azure": {"account": "x", "z": "1"}}),
    (http_store(), {"http": {}}),
    (
        http_store({"b": "1", "a": "2"}, {"h": "v"}),
        {"http": {"b": "1", "a": "2", "headers": {"h": "v"}}},
    ),
]


@pytest.mark.parametrize(("store", "document"), STORES)
def test_document(store: AnyObjectStoreConfig, document: Any) -> None:
    assert store.to_document() == document
    assert ObjectStoreConfig.from_document(document) == store
    assert pickle.loads(pickle.dumps(store)) == copy.deepcopy(store) == store
    assert isinstance(store, ObjectStoreConfig)


def test_stores_of_different_kinds_or_options_differ() -> None:
    stores = [store for store, _ in STORES]
    for i, store in enumerate(stores):
        assert [other == store for other in stores] == [j == i for j in range(len(stores))]
    assert not isinstance(S3Options(), ObjectStoreConfig)


def test_no_options_are_empty_options() -> None:
    assert gcs_store({}) == gcs_store(None)
    assert ObjectStoreConfig.from_document({"gcs": None}) == gcs_store()
    assert ObjectStoreConfig.from_document({"http": None}) == http_store({}, {})


def test_the_account_of_the_further_options_wins() -> None:
    assert azure_store(account="a", config={"account": "b"}).opts == {"account": "b"}


@pytest.mark.parametrize(
    "document",
    [
        None,
        "s3",
        7,
        {},
        {"s3": {}, "gcs": {}},
        {"s3": "x"},
        {"s3": {"region": 1}},
        {"ftp": {}},
        {"gcs": {"a": 1}},
        {"http": {"headers": {"a": 1}}},
        {"http": "x"},
        {"local_file_system": None},
    ],
)
def test_a_document_that_is_no_store(document: Any) -> None:
    with pytest.raises(FormatError) as caught:
        ObjectStoreConfig.from_document(document)
    assert caught.value.kind == "config-deserialization"


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="choose a kind"):
        ObjectStoreConfig()
    with pytest.raises(TypeError, match="S3Options"):
        ObjectStoreConfig.S3({"region": "x"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="str"):
        ObjectStoreConfig.LocalFileSystem(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="map of texts"):
        gcs_store({"a": 1})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="map of texts"):
        http_store(headers="x")  # type: ignore[arg-type]


def test_forms() -> None:
    assert repr(ObjectStoreConfig.InMemory()) == "frazil.config.ObjectStoreConfig.InMemory()"
    assert repr(local_filesystem_store("/a")) == (
        'frazil.config.ObjectStoreConfig.LocalFileSystem("/a")'
    )
    assert repr(gcs_store()) == "frazil.config.ObjectStoreConfig.Gcs(None)"
    assert repr(ObjectStoreConfig.S3(S3Options(region="r"))).startswith(
        'frazil.config.ObjectStoreConfig.S3(frazil.storage.S3Options(\n    region="r",\n'
    )
    assert str(ObjectStoreConfig.S3(S3Options(region="r"))).startswith(
        "<frazil.config.ObjectStoreConfig.S3>\nregion: r\n"
    )


def test_they_can_be_told_apart_by_matching() -> None:
    match s3_store(region="here"):
        case ObjectStoreConfig.S3(S3Options(region=region)):
            assert region == "here"
        case _:
            raise AssertionError
