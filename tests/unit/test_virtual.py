"""Virtual chunk containers and references as values."""

import pickle
from datetime import UTC, datetime

import pytest

from frazil.errors import FormatError
from frazil.storage import ObjectStoreConfig, azure_store, local_filesystem_store, s3_store
from frazil.virtual import VirtualChunkContainer, VirtualChunkSpec, checked_container


def test_a_container_is_a_mutable_value() -> None:
    one = VirtualChunkContainer("file:///a/", local_filesystem_store("/a"), "n")
    assert one == VirtualChunkContainer("file:///a/", local_filesystem_store("/a"), "n")
    assert pickle.loads(pickle.dumps(one)) == one
    one.name = None
    assert one != VirtualChunkContainer("file:///a/", local_filesystem_store("/a"), "n")
    with pytest.raises(TypeError, match="ObjectStoreConfig"):
        VirtualChunkContainer("file:///a/", "/a")  # type: ignore[arg-type]


def test_a_container_in_a_document() -> None:
    one = VirtualChunkContainer("s3://b/", s3_store(region="r"))
    document = one.to_document()
    assert document["name"] is None
    assert document["store"]["s3"]["region"] == "r"
    assert VirtualChunkContainer.from_document(document) == one


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"url_prefix": "s3://b/"},
        {"store": "in_memory"},
        {"url_prefix": 3, "store": "in_memory"},
        {"url_prefix": "s3://b/", "store": "nowhere"},
        {"url_prefix": "s3://b/", "store": {"s3": {"region": 1}}},
        [],
    ],
    ids=str,
)
def test_unfit_documents_are_refused(document: object) -> None:
    with pytest.raises(FormatError):
        VirtualChunkContainer.from_document(document)  # type: ignore[arg-type]


def test_a_reference_is_a_value() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    one = VirtualChunkSpec((0, 1), "s3://b/f", 3, 4, "etag", at)
    assert one.index == [0, 1]
    assert one == VirtualChunkSpec([0, 1], "s3://b/f", 3, 4, "etag", at)
    assert len({one, pickle.loads(pickle.dumps(one))}) == 1


def test_a_time_without_timezone_is_refused() -> None:
    with pytest.raises(TypeError, match="timezone"):
        VirtualChunkSpec([0], "a", 0, 1, last_updated_at_checksum=datetime(2024, 1, 1))


@pytest.mark.parametrize(
    ("prefix", "store"),
    [
        ("s3://b/", local_filesystem_store("/x")),
        ("r2://b/", s3_store()),
        ("memory://b/", ObjectStoreConfig.InMemory()),
        ("abfss://b/", azure_store(account="a")),
        ("file:///", local_filesystem_store("/x")),
        ("s3:///", s3_store()),
        ("b/", s3_store()),
    ],
)
def test_containers_that_make_no_sense(prefix: str, store: ObjectStoreConfig) -> None:
    with pytest.raises(ValueError, match="url_prefix"):
        checked_container(VirtualChunkContainer(prefix, store))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a/b"])
def test_names_that_no_location_could_have(name: str) -> None:
    with pytest.raises(ValueError, match="name of a container"):
        checked_container(VirtualChunkContainer("s3://b/", s3_store(), name))


def test_a_prefix_is_given_its_slash() -> None:
    assert checked_container(VirtualChunkContainer("s3://b", s3_store())).url_prefix == "s3://b/"
