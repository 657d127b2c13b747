import pytest

from frazil.errors import InvalidInputError
from frazil.store.keys import (
    ChunkKey,
    LegacyKey,
    MetadataKey,
    chunk_folder,
    chunk_keys,
    metadata_key,
    node_path,
    parse_key,
)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("zarr.json", "/"),
        ("/zarr.json", "/"),
        ("//zarr.json", "/"),
        ("./zarr.json", "/"),
        ("a/zarr.json", "/a"),
        ("a//zarr.json", "/a"),
        ("a/./b/zarr.json", "/a/b"),
        ("c/zarr.json", "/c"),
        ("a/c/0/zarr.json", "/a/c/0"),
        ("abc/zarr.json", "/abc"),
        ("zarr.json/zarr.json", "/zarr.json"),
        ("température/北/zarr.json", "/température/北"),
        (" /zarr.json", "/ "),
        ("a\0b/zarr.json", "/a\0b"),
    ],
)
def test_metadata_keys(key: str, path: str) -> None:
    assert parse_key(key) == MetadataKey(path)


@pytest.mark.parametrize(
    ("key", "path", "coords"),
    [
        ("c", "/", ()),
        ("/c", "/", ()),
        ("c/0", "/", (0,)),
        ("//c/0", "/", (0,)),
        ("a/c", "/a", ()),
        ("a/c/0/1", "/a", (0, 1)),
        ("/a/c/0/1", "/a", (0, 1)),
        ("a//c/0/1", "/a", (0, 1)),
        ("a/b/c/12/0/345", "/a/b", (12, 0, 345)),
        ("a/c/+1/01", "/a", (1, 1)),
        ("a/c/4294967295", "/a", (2**32 - 1,)),
        ("c/c/0", "/c", (0,)),
        ("a/c/x/c/0", "/a/c/x", (0,)),
        ("a/c/0/c/1", "/a/c/0", (1,)),
        ("zarr.json/c/0", "/zarr.json", (0,)),
        ("topic/c/7", "/topic", (7,)),
    ],
)
def test_chunk_keys(key: str, path: str, coords: tuple[int, ...]) -> None:
    assert parse_key(key) == ChunkKey(path, coords)


@pytest.mark.parametrize(
    "key", [".zgroup", ".zarray", ".zattrs", ".zmetadata", "/.zgroup", "a/.zarray", "a/c/.zattrs"]
)
def test_zarr_v2_documents_are_told_apart(key: str) -> None:
    assert parse_key(key) == LegacyKey(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "/",
        "a",
        "a/",
        "foo",
        "a/0.0",
        "a/c.0.0",
        "a/c/",
        "c/",
        "c/a",
        "a/c/-1/0",
        "a/c/4294967296/0",
        "a/c/0/1/",
        "a/c//0",
        "a/c/0//1",
        "a/c/ 1/0",
        "a/c/1_0/0",
        "a/c/٣/0",
        "a/c/+",
        "a/c/++1",
        "a/c/0x1",
        "a/c/²",
        "a/c/" + "9" * 5000,
        "zarr.json/",
        "a/zarr.json/",
        "xzarr.json",
        "a/xzarr.json",
        "x.zgroup",
        ".zgroup/",
        "..",
        "../zarr.json",
        "a/../zarr.json",
        "../c/0",
        "a\udc80/zarr.json",
        "a\udc80/c/0",
        "c/\udc80",
    ],
)
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_key(key)
    assert caught.value.kind == "invalid-key"
    assert repr(key) in caught.value.message


@pytest.mark.parametrize("key", ["ac/0/0", "ac", "abc", "cc/0", "g/acc/1"])
def test_a_chunk_key_of_another_encoding_never_hits_another_array(key: str) -> None:
    # Icechunk takes "ac/0/0" for chunk (0, 0) of "a". An array "ac" with the v2 key encoding
    # produces just these keys, so its chunks would overwrite those of "a".
    with pytest.raises(InvalidInputError):
        parse_key(key)


@pytest.mark.parametrize("path", ["/", "/a", "/a/b c", "/c", "/a/c/0"])
def test_written_keys_are_read_back(path: str) -> None:
    assert parse_key(metadata_key(path)) == MetadataKey(path)
    for coords in [(), (0,), (3, 2**32 - 1, 10)]:
        (key,) = chunk_keys(path, [coords])
        assert parse_key(key) == ChunkKey(path, coords)


def test_keys_have_the_default_encoding() -> None:
    assert chunk_keys("/", [[0, 1], [2, 3]]) == ["c/0/1", "c/2/3"]
    assert chunk_keys("/a/b", [[10]]) == ["a/b/c/10"]
    assert chunk_keys("/a", [[]]) == ["a/c"]
    assert metadata_key("/") == "zarr.json"
    assert metadata_key("/a/b") == "a/b/zarr.json"


@pytest.mark.parametrize(
    ("folder", "path"),
    [("", "/"), ("/", "/"), ("a/b/", "/a/b"), ("./a//b", "/a/b"), ("a/..", None), ("\ud800", None)],
)
def test_node_path(folder: str, path: str | None) -> None:
    assert node_path(folder) == path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/c", ("/", ())),
        ("/c/1/2", ("/", (1, 2))),
        ("/a/c", ("/a", ())),
        ("/a/c/0", ("/a", (0,))),
        ("/a/c/c/0", ("/a/c", (0,))),
        ("/a", None),
        ("/a/cc/0", None),
        ("/a/c/x", None),
        ("/a/c/01", None),
        ("/a/c/0/+1", None),
        ("/", None),
    ],
)
def test_chunk_folder(path: str, expected: tuple[str, tuple[int, ...]] | None) -> None:
    assert chunk_folder(path) == expected
