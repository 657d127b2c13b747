"""Places in object stores, as values: nothing here is connected to."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

import frazil
from frazil import Storage, StorageSettings
from frazil.errors import ErrorKind, IcechunkError, InvalidInputError
from frazil.storage import ChecksumAlgorithm, S3Options, s3_object_store_storage

KEYS = {"access_key_id": "TOPSECRET-id", "secret_access_key": "TOPSECRET-key"}

FORMS: dict[str, tuple[Callable[[], Storage], str]] = {
    "s3": (
        lambda: frazil.s3_storage(bucket="b", prefix="p/q", region="r", **KEYS),
        "type: S3 (native)\nbucket: b\nprefix: p/q\nregion: r\n",
    ),
    "s3 with everything": (
        lambda: frazil.s3_storage(
            bucket="b",
            prefix="/p/",
            endpoint_url="http://x",
            anonymous=True,
            allow_http=True,
            force_path_style=True,
            requester_pays=True,
            checksum_algorithm=ChecksumAlgorithm.Crc32c,
            headers={"Authorization": "TOPSECRET-header"},
        ),
        "type: S3 (native)\nbucket: b\nprefix: p\nendpoint_url: http://x\nanonymous: True\n"
        "allow_http: True\nforce_path_style: True\nrequester_pays: True\n"
        "checksum_algorithm: Crc32c\n",
    ),
    "s3 at the root": (
        lambda: frazil.s3_storage(bucket="b", prefix=None, from_env=True),
        "type: S3 (native)\nbucket: b\n",
    ),
    "s3 by the other client": (
        lambda: s3_object_store_storage(bucket="b", prefix="p", anonymous=True),
        "type: S3\nbucket: b\nprefix: p\nanonymous: True\n",
    ),
    "r2": (
        lambda: frazil.r2_storage(prefix="b/p/q", account_id="abc", **KEYS),
        "type: S3 (native)\nbucket: b\nprefix: p/q\nregion: auto\n"
        "endpoint_url: https://abc.r2.cloudflarestorage.com\nforce_path_style: True\n",
    ),
    "tigris": (
        lambda: frazil.tigris_storage(bucket="b", prefix="p", region="iad", **KEYS),
        "type: S3 (native)\nbucket: b\nprefix: p\nregion: iad\n"
        "endpoint_url: https://t3.storage.dev\n",
    ),
    "gcs": (
        lambda: frazil.gcs_storage(bucket="b", prefix="p", bearer_token="TOPSECRET-token"),
        "type: GCS\nbucket: b\nprefix: p\n",
    ),
    "azure": (
        lambda: frazil.azure_storage(
            account="a", container="c", prefix="p", access_key="TOPSECRET-key"
        ),
        "type: Azure\naccount: a\ncontainer: c\nprefix: p\n",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str) -> None:
    make, shown = FORMS[name]
    storage = make()
    assert repr(storage) == f"<frazil.Storage>\n{shown}"
    assert "TOPSECRET" not in storage._repr_html_()
    assert storage.default_settings() == StorageSettings()


@pytest.mark.parametrize("name", FORMS)
def test_equal_places_share_a_backend_and_pickle_without_secrets(name: str) -> None:
    make, _ = FORMS[name]
    storage = make()
    pickled = pickle.dumps(storage)
    assert b"TOPSECRET" not in pickled
    for same in (make(), pickle.loads(pickled)):
        assert same == storage
        assert hash(same) == hash(storage)
        assert same.backend() is storage.backend()
    other = StorageSettings(storage_class="STANDARD_IA")
    assert storage.backend(other) is not storage.backend()
    assert storage.backend(other) is make().backend(StorageSettings(storage_class="STANDARD_IA"))
    assert storage.backend(StorageSettings()) is storage.backend()


def test_places_differ_by_what_leads_there() -> None:
    places = [make() for make, _ in FORMS.values()]
    places.append(frazil.s3_storage(bucket="b", prefix="p/q", region="r", anonymous=True))
    places.append(
        frazil.s3_storage(bucket="b", prefix="p/q", region="r", headers={"a": "b"}, **KEYS)
    )
    assert len(set(places)) == len(places)


def test_options_are_copied() -> None:
    options = S3Options(region="r", anonymous=True)
    storage = Storage.new_s3(options, "b", "p")
    options.region = "other"
    assert "region: r\n" in repr(storage)


MISTAKES: dict[str, tuple[Callable[[], object], str, str]] = {
    "r2 without a bucket": (
        lambda: frazil.r2_storage(account_id="a"),
        "needs a bucket",
        ErrorKind.STORAGE_CONFIG,
    ),
    "r2 without an account": (
        lambda: frazil.r2_storage(bucket="b"),
        "needs an account_id",
        ErrorKind.STORAGE_CONFIG,
    ),
    "tigris without a region": (
        lambda: frazil.tigris_storage(bucket="b", prefix="p"),
        "use_weak_consistency",
        ErrorKind.STORAGE_OTHER,
    ),
    "old keys below a prefix": (
        lambda: frazil.s3_storage(bucket="b", prefix="p", legacy_rooted_keys=True),
        "only valid with an empty prefix",
        ErrorKind.STORAGE_CONFIG,
    ),
    "old keys": (
        lambda: frazil.s3_storage(bucket="b", prefix=None, legacy_rooted_keys=True),
        "cannot be read",
        ErrorKind.STORAGE_CONFIG,
    ),
    "a header's name": (
        lambda: frazil.gcs_storage(bucket="b", prefix="p", headers={"no name": "x"}),
        "'no name'",
        ErrorKind.STORAGE_CONFIG,
    ),
    "a header's value": (
        lambda: frazil.s3_storage(bucket="b", prefix="p", read_headers={"a": "x\n"}),
        "'a'",
        ErrorKind.STORAGE_CONFIG,
    ),
    "a prefix with an empty name": (
        lambda: frazil.s3_storage(bucket="b", prefix="p//q"),
        "'p//q'",
        ErrorKind.INVALID_PATH,
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str) -> None:
    call, message, kind = MISTAKES[name]
    with pytest.raises(IcechunkError, match=message) as caught:
        call()
    assert caught.value.kind == kind


def test_a_bad_header_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="invalid HTTP header"):
        frazil.s3_storage(bucket="b", prefix="p", headers={"": "x"})


def test_no_repository_at_the_root_of_a_bucket() -> None:
    frazil.s3_storage(bucket="b", prefix="p", anonymous=True).check_creation()
    with pytest.raises(InvalidInputError) as caught:
        frazil.gcs_storage(bucket="b", prefix="", anonymous=True).check_creation()
    assert caught.value.kind == ErrorKind.EMPTY_PREFIX_CREATION
