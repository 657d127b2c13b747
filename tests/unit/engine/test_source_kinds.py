"""Which client reaches the files of a container, with which options and credentials."""

from __future__ import annotations

from typing import Any

import pytest

import frazil
from frazil.credentials import Credentials, HttpAccess, LocalFileSystemAccess
from frazil.engine.access import checked_access, unspecific_access
from frazil.engine.sources import kinds as source_kinds
from frazil.engine.sources.files import Files
from frazil.engine.sources.kinds import open_source
from frazil.engine.sources.objects import Objects
from frazil.engine.sources.web import Web
from frazil.errors import StorageError
from frazil.model.virtual_urls import Containers
from frazil.storage.object_stores import AnyObjectStoreConfig, ObjectStoreConfig, azure_store
from frazil.storage.settings import S3Options
from frazil.virtual import VirtualChunkContainer

KEYS = frazil.s3_credentials(access_key_id="k", secret_access_key="s")
TOKEN = frazil.gcs_credentials(bearer_token="t", from_env=False)
ACCESS_KEY = frazil.azure_credentials(access_key="k")

Call = tuple[str, str, dict[str, Any]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    found: list[Call] = []
    for name in ("s3_client", "gcs_client", "azure_client"):

        def client(bucket: str, _name: str = name, **options: Any) -> object:
            found.append((_name, bucket, options))
            return object()

        monkeypatch.setattr(source_kinds, name, client)
    return found


def opened(url: str, store: AnyObjectStoreConfig, credential: Any) -> Any:
    prefix = url.rpartition("/")[0] + "/"
    target = Containers([VirtualChunkContainer(prefix, store)]).target(url)
    return open_source(target, credential, None)


def test_s3(calls: list[Call]) -> None:
    options = S3Options(region="r", force_path_style=True)
    for store in (ObjectStoreConfig.S3(options), ObjectStoreConfig.S3Compatible(options)):
        assert isinstance(opened("s3://bucket/a/key", store, Credentials.S3(KEYS)), Objects)
    assert calls == 2 * [
        ("s3_client", "bucket", {"options": options, "credentials": KEYS, "settings": None})
    ]


def test_tigris_has_an_endpoint_of_its_own(calls: list[Call]) -> None:
    options = S3Options(region="r", endpoint_url="https://other")
    opened("tigris://bucket/key", ObjectStoreConfig.Tigris(S3Options(region="r")), None)
    opened("tigris://bucket/key", ObjectStoreConfig.Tigris(options), None)
    endpoints = [call[2]["options"].endpoint_url for call in calls]
    assert endpoints == ["https://t3.storage.dev", "https://other"]
    assert [call[2]["options"].region for call in calls] == ["r", "r"]


def test_gcs(calls: list[Call]) -> None:
    opened("gs://bucket/key", ObjectStoreConfig.Gcs({"a": "b"}), Credentials.Gcs(TOKEN))
    opened("gcs://bucket/key", ObjectStoreConfig.Gcs(), None)
    assert [call[2]["credentials"] for call in calls] == [TOKEN, frazil.GcsCredentials.Anonymous()]
    assert [call[2]["options"] for call in calls] == [{"a": "b"}, None]


def test_azure(calls: list[Call]) -> None:
    store = azure_store(account="me", config={"azure_storage_endpoint": "e"})
    opened("az://container/key", store, Credentials.Azure(ACCESS_KEY))
    opened("abfs://container@me.dfs.core.windows.net/key", store, None)
    for name, container, options in calls:
        assert (name, container, options["account"]) == ("azure_client", "container", "me")
        assert options["options"] == {"azure_storage_endpoint": "e"}
    assert [call[2]["credentials"] for call in calls] == [ACCESS_KEY, None]


def test_web_and_files() -> None:
    web = opened("https://host:8443/a/b", ObjectStoreConfig.Http(None, {"X": "y"}), HttpAccess)
    assert isinstance(web, Web)
    assert web.base == "https://host:8443"
    assert web.headers["X"] == "y"
    files = opened("file:///a%20b/c", ObjectStoreConfig.LocalFileSystem("/"), LocalFileSystemAccess)
    assert files == Files("a b/")


def test_files_of_another_machine() -> None:
    store = ObjectStoreConfig.LocalFileSystem("/")
    with pytest.raises(StorageError, match="another machine, server") as caught:
        opened("file://server/share/file", store, LocalFileSystemAccess)
    assert caught.value.kind == "virtual-chunk-fetch"


CONTAINERS = [
    VirtualChunkContainer("s3://b/", frazil.s3_store()),
    VirtualChunkContainer("file:///a/", frazil.local_filesystem_store("/a")),
]


def test_access_is_checked_and_completed() -> None:
    access = {"s3://b": Credentials.S3(KEYS), "gs://somewhere": None}
    assert checked_access(access, CONTAINERS) == {
        "s3://b/": Credentials.S3(KEYS),
        "gs://somewhere/": None,
    }
    for wrong in ({"s3://b": HttpAccess}, {"file:///a/": Credentials.S3(KEYS)}):
        with pytest.raises(StorageError) as caught:
            checked_access(wrong, CONTAINERS)
        assert caught.value.kind == "storage-other"


def test_what_to_give_instead_of_none() -> None:
    access = {"s3://b/": None, "file:///a/": None, "gs://somewhere/": None}
    assert unspecific_access(access, CONTAINERS) == {
        "s3://b/": "frazil.credentials.Credentials.S3(...)",
        "file:///a/": "frazil.credentials.LocalFileSystemAccess",
    }
