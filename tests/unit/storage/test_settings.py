"""Settings of a storage as values, in configuration documents and on the screen."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from frazil.errors import FormatError
from frazil.storage import (
    ChecksumAlgorithm,
    S3Options,
    StorageConcurrencySettings,
    StorageRetriesSettings,
    StorageSettings,
    StorageTimeoutSettings,
)

FULL = StorageSettings(
    StorageConcurrencySettings(3, 4096),
    StorageRetriesSettings(1, 2, 3),
    True,
    False,
    True,
    "A",
    "B",
    "C",
    7,
    StorageTimeoutSettings(1, 2, 3, 4),
)

# format.md's layout; also what Icechunk writes.
DOCUMENT: dict[str, Any] = {
    "concurrency": {"max_concurrent_requests_for_object": 3, "ideal_concurrent_request_size": 4096},
    "retries": {"max_tries": 1, "initial_backoff_ms": 2, "max_backoff_ms": 3},
    "timeouts": {
        "connect_timeout_ms": 1,
        "read_timeout_ms": 2,
        "operation_timeout_ms": 3,
        "operation_attempt_timeout_ms": 4,
    },
    "unsafe_use_conditional_update": False,
    "unsafe_use_conditional_create": True,
    "unsafe_use_metadata": True,
    "storage_class": "A",
    "metadata_storage_class": "B",
    "chunks_storage_class": "C",
    "minimum_size_for_multipart_upload": 7,
}


def test_document() -> None:
    assert FULL.to_document() == DOCUMENT
    assert StorageSettings.from_document(DOCUMENT) == FULL
    assert StorageSettings.from_document({}) == StorageSettings()
    assert set(StorageSettings().to_document().values()) == {None}
    assert StorageSettings.from_document({"unknown": 1, "retries": None}) == StorageSettings()


@pytest.mark.parametrize(
    "document",
    [
        {"concurrency": {"max_concurrent_requests_for_object": 0}},
        {"concurrency": {"max_concurrent_requests_for_object": 65_536}},
        {"retries": {"max_tries": 0}},
        {"retries": {"initial_backoff_ms": 1.0}},
        {"retries": [1, 2, 3]},
        {"unsafe_use_metadata": 1},
        {"storage_class": 1},
        {"minimum_size_for_multipart_upload": -1},
        {"timeouts": {"read_timeout_ms": 2**32}},
    ],
)
def test_a_document_that_does_not_fit(document: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        StorageSettings.from_document(document)
    assert caught.value.kind == "config-deserialization"
    assert next(iter(document)) in str(caught.value)


def test_merge_goes_field_by_field_into_groups() -> None:
    mine = StorageSettings(
        concurrency=StorageConcurrencySettings(3, None),
        storage_class="a",
        unsafe_use_metadata=True,
        timeouts=StorageTimeoutSettings(read_timeout_ms=5),
    )
    theirs = StorageSettings(
        concurrency=StorageConcurrencySettings(None, 4),
        metadata_storage_class="b",
        unsafe_use_metadata=False,
        retries=StorageRetriesSettings(5),
    )
    before = copy.deepcopy((mine, theirs))
    merged = mine.merge(theirs)
    assert merged == StorageSettings(
        concurrency=StorageConcurrencySettings(3, 4),
        retries=StorageRetriesSettings(5),
        storage_class="a",
        metadata_storage_class="b",
        unsafe_use_metadata=False,
        timeouts=StorageTimeoutSettings(read_timeout_ms=5),
    )
    assert merged.timeouts is not mine.timeouts
    assert (mine, theirs) == before
    assert mine.merge(StorageSettings()) == mine == StorageSettings().merge(mine)


def test_bags_are_mutable_compared_by_value_and_pickle() -> None:
    settings = copy.deepcopy(FULL)
    assert settings == FULL
    assert pickle.loads(pickle.dumps(FULL)) == FULL
    settings.storage_class = None
    assert settings != FULL
    with pytest.raises(TypeError):
        hash(settings)
    shared = StorageConcurrencySettings(1, 2)
    settings.concurrency = shared
    shared.ideal_concurrent_request_size = 9
    assert settings.concurrency.ideal_concurrent_request_size == 9


def test_the_defaults_that_apply() -> None:
    settings = StorageSettings()
    assert settings.effective("concurrency").effective("max_concurrent_requests_for_object") == 18
    assert settings.effective("concurrency").effective("ideal_concurrent_request_size") == 12582912
    assert settings.effective("retries").effective("max_tries") == 10
    assert settings.effective("retries").effective("initial_backoff_ms") == 100
    assert settings.effective("retries").effective("max_backoff_ms") == 180_000
    assert settings.effective("unsafe_use_conditional_update") is True
    assert settings.effective("minimum_size_for_multipart_upload") == 104_857_600
    assert settings.effective("storage_class") is None


def test_forms() -> None:
    assert repr(StorageSettings(concurrency=StorageConcurrencySettings(1), storage_class="A")) == (
        "frazil.storage.StorageSettings(\n"
        "    unsafe_use_conditional_create=None,\n"
        "    unsafe_use_conditional_update=None,\n"
        "    unsafe_use_metadata=None,\n"
        '    storage_class="A",\n'
        "    metadata_storage_class=None,\n"
        "    chunks_storage_class=None,\n"
        "    minimum_size_for_multipart_upload=None,\n"
        "    concurrency=frazil.storage.StorageConcurrencySettings(\n"
        "        max_concurrent_requests_for_object=1,\n"
        "        ideal_concurrent_request_size=None,\n"
        "    ),\n"
        "    retries=None,\n"
        "    timeouts=None,\n"
        ")"
    )
    lines = str(StorageSettings()).splitlines()
    assert lines[0] == "<frazil.storage.StorageSettings>"
    assert "minimum_size_for_multipart_upload: 104857600 (default)" in lines
    assert lines[lines.index("retries:") + 1 :][:2] == [
        "    <frazil.storage.StorageRetriesSettings>",
        "    max_tries: 10 (default)",
    ]
    assert lines[-1] == "timeouts: None"


def test_s3_options() -> None:
    options = S3Options("r", checksum_algorithm=ChecksumAlgorithm.Crc64Nvme, anonymous=True)
    assert options.to_document() == {
        "region": "r",
        "endpoint_url": None,
        "allow_http": False,
        "anonymous": True,
        "force_path_style": False,
        "network_stream_timeout_seconds": None,
        "requester_pays": False,
        "checksum_algorithm": "crc64_nvme",
    }
    assert S3Options.from_document(options.to_document()) == options
    assert S3Options.from_document({}) == S3Options()
    assert pickle.loads(pickle.dumps(options)) == options
    options.region = None
    options.allow_http = True
    for wrong in (None, 1):
        with pytest.raises(TypeError, match="allow_http"):
            options.allow_http = wrong  # type: ignore[assignment]
    with pytest.raises(FormatError):
        S3Options.from_document({"checksum_algorithm": "md5"})


@pytest.mark.parametrize("algorithm", ChecksumAlgorithm)
def test_every_checksum_algorithm_has_a_name_in_documents(algorithm: ChecksumAlgorithm) -> None:
    document = S3Options(checksum_algorithm=algorithm).to_document()
    assert document["checksum_algorithm"] == algorithm.name.replace("Nvme", "_nvme").lower()
    assert S3Options.from_document(document).checksum_algorithm is algorithm
