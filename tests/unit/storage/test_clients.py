"""Setting up the clients of object stores."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError
from obstore.store import MemoryStore

from frazil.credentials import (
    S3StaticCredentials,
    azure_credentials,
    gcs_credentials,
    s3_anonymous_credentials,
    s3_refreshable_credentials,
    s3_static_credentials,
)
from frazil.errors import ErrorKind, StorageError
from frazil.storage import clients
from frazil.storage.base import AccessDenied, PreconditionFailed
from frazil.storage.settings import (
    ChecksumAlgorithm,
    S3Options,
    StorageRetriesSettings,
    StorageSettings,
    StorageTimeoutSettings,
)

KEYS = s3_static_credentials(access_key_id="AKID", secret_access_key="SECRET")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.mark.parametrize(
    ("options", "endpoint", "hosted"),
    [
        (S3Options(), None, True),
        (S3Options(force_path_style=True), None, False),
        (S3Options(endpoint_url="http://127.0.0.1:9000/"), "http://127.0.0.1:9000", False),
        (S3Options(endpoint_url="http://localhost:9000"), "http://localhost:9000", False),
        (S3Options(endpoint_url="https://t3.example"), "https://cube.t3.example", True),
        (
            S3Options(endpoint_url="https://s3.example:99", force_path_style=True),
            "https://s3.example:99",
            False,
        ),
    ],
)
def test_s3_addresses(options: S3Options, endpoint: str | None, hosted: bool) -> None:
    config = clients.s3_client("cube", options=options, credentials=KEYS).config
    assert config.get("endpoint") == endpoint
    assert config["virtual_hosted_style_request"] == str(hosted).lower()
    dotted = clients.s3_client("a.cube", options=options, credentials=KEYS).config
    assert dotted["virtual_hosted_style_request"] == "false"


def test_s3_regions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def region(options: S3Options) -> str:
        return str(clients.s3_client("cube", options=options, credentials=KEYS).config["region"])

    assert region(S3Options()) == "us-east-1"
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-north-1\n[profile x]\nregion=sa-east-1"
    )
    assert region(S3Options()) == "eu-north-1"
    monkeypatch.setenv("AWS_PROFILE", "x")
    assert region(S3Options()) == "sa-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert region(S3Options()) == "eu-west-1"
    assert region(S3Options(region="eu-west-3")) == "eu-west-3"


def test_what_s3_clients_are_told() -> None:
    settings = StorageSettings(
        retries=StorageRetriesSettings(3, 20, 4000),
        timeouts=StorageTimeoutSettings(1000, 2000, 300_000, 40_000),
    )
    options = S3Options(requester_pays=True, checksum_algorithm=ChecksumAlgorithm.Sha256)
    client = clients.s3_client("cube", options=options, credentials=KEYS, settings=settings)
    assert client.config["request_payer"] == "true"
    assert client.config["checksum_algorithm"] == "SHA256"
    told = client.client_options
    assert told is not None
    assert (told["connect_timeout"], told["read_timeout"], told["timeout"]) == ("1s", "2s", "40s")
    assert client.retry_config == {
        "max_retries": 2,
        "retry_timeout": timedelta(seconds=300),
        "backoff": {
            "init_backoff": timedelta(milliseconds=20),
            "max_backoff": timedelta(seconds=4),
            "base": 2.0,
        },
    }
    once = clients.s3_client(
        "cube",
        options=options,
        credentials=KEYS,
        settings=settings,
        manner=clients.Manner(headers={"a": "b"}, retried=False),
    )
    assert once.retry_config is not None
    assert once.retry_config["max_retries"] == 0
    assert once.client_options is not None
    assert once.client_options["default_headers"] == {"a": b"b"}


@pytest.mark.parametrize(
    ("seconds", "told", "upload"), [(None, "10s", "26s"), (60, "1m", "1m 16s"), (0, None, "6h")]
)
def test_how_long_a_response_may_stall(seconds: int | None, told: str | None, upload: str) -> None:
    options = S3Options(network_stream_timeout_seconds=seconds)
    reading = clients.s3_client("cube", options=options, credentials=KEYS).client_options
    assert reading is not None
    assert reading.get("read_timeout") == told
    manner = clients.Manner(upload_bytes=2**20)
    writing = clients.s3_client("cube", options=options, credentials=KEYS, manner=manner)
    assert writing.client_options is not None
    assert "read_timeout" not in writing.client_options
    assert writing.client_options["timeout"] == upload


def test_options_of_the_connection_may_be_among_those_of_the_storage() -> None:
    options = {"azure_storage_endpoint": "http://127.0.0.1:1/a", "azure_allow_http": "true"}
    azure = clients.azure_client("c", account="a", options=options, credentials=None)
    assert azure.client_options is not None
    assert azure.client_options["allow_http"] == "true"
    gcs = clients.gcs_client("b", options={"proxy_url": "http://127.0.0.1:1"}, credentials=None)
    assert gcs.client_options is not None
    assert gcs.client_options["proxy_url"] == "http://127.0.0.1:1"
    web = clients.http_client(
        "http://127.0.0.1:1", options={"timeout": "30s"}, headers={"x-key": "1"}
    )
    assert web.client_options is not None
    assert web.client_options["timeout"] == "30s"
    assert web.client_options["default_headers"] == {"x-key": b"1"}


def test_unknown_options_are_named() -> None:
    with pytest.raises(StorageError, match=r"bucket 'b'.*no_such_thing") as caught:
        clients.gcs_client("b", options={"no_such_thing": "1"}, credentials=None)
    assert caught.value.kind == ErrorKind.STORAGE_CONFIG
    with pytest.raises(StorageError, match="unknown option 'no_such_thing'"):
        clients.http_client("http://127.0.0.1:1", options={"no_such_thing": "1"})


def provided(client: Any) -> Any:
    return client.credential_provider()


def test_s3_credentials_are_those_given_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another identity")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of another identity")
    client = clients.s3_client("cube", options=S3Options(), credentials=KEYS)
    assert provided(client) == {
        "access_key_id": "AKID",
        "secret_access_key": "SECRET",
        "token": None,
        "expires_at": None,
    }
    for anonymous in (
        clients.s3_client("cube", options=S3Options(anonymous=True), credentials=KEYS),
        clients.s3_client("cube", options=S3Options(), credentials=s3_anonymous_credentials()),
    ):
        assert anonymous.config["skip_signature"] == "true"
        assert provided(anonymous)["access_key_id"] == ""


def test_keys_in_the_users_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = B\n[empty]\n"
    )
    (tmp_path / "config").write_text(
        "[profile x]\naws_access_key_id=C\naws_secret_access_key=D%\naws_session_token=E\n"
    )

    def client() -> Any:
        return clients.s3_client("cube", options=S3Options(), credentials=None)

    assert provided(client())["access_key_id"] == "A"
    monkeypatch.setenv("AWS_PROFILE", "x")
    assert provided(client())["secret_access_key"] == "D%"
    assert provided(client())["token"] == "E"
    monkeypatch.setenv("AWS_PROFILE", "empty")
    assert client().credential_provider is None
    monkeypatch.setenv("AWS_PROFILE", "x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "F")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "G")
    assert client().credential_provider is None


def test_gcs_credentials() -> None:
    def client(**given: Any) -> Any:
        return clients.gcs_client("b", options=None, credentials=gcs_credentials(**given))

    assert provided(client(bearer_token="T")) == {"token": "T", "expires_at": None}
    anonymous = client(anonymous=True)
    assert anonymous.config["skip_signature"] == "true"
    assert provided(anonymous)["token"] == ""
    key = '{"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": true}'
    assert client(service_account_key=key).config["service_account_key"] == key
    for name in ("service_account_file", "application_credentials"):
        with pytest.raises(StorageError, match=r"bucket 'b'.*/nowhere/key\.json"):
            client(**{name: "/nowhere/key.json"})


def test_azure_credentials() -> None:
    def client(**given: Any) -> Any:
        credentials = azure_credentials(**given)
        return clients.azure_client("c", account="a", options=None, credentials=credentials)

    assert provided(client(access_key="Sw==")) == {"access_key": "Sw==", "expires_at": None}
    assert provided(client(sas_token="?sv=1"))["sas_token"] == "sv=1"
    assert provided(client(bearer_token="T"))["token"] == "T"
    assert client(anonymous=True).config["skip_signature"] == "true"


def test_refreshable_credentials_are_asked_for_when_they_are_needed() -> None:
    s3 = s3_refreshable_credentials(keys_from_a_function)
    client = clients.s3_client("cube", options=S3Options(), credentials=s3)
    assert provided(client)["access_key_id"] == "from a function"


def keys_from_a_function() -> S3StaticCredentials:
    return S3StaticCredentials("from a function", "S")


def test_errors_are_translated() -> None:
    store = MemoryStore()
    obstore.put(store, "a", b"1")

    def error(path: str, **arguments: object) -> StorageError:
        try:
            obstore.put(store, path, b"2", **arguments)  # type: ignore[arg-type]
        except Exception as found:
            return clients.translate(found, key="the key", where="the bucket")
        raise AssertionError

    assert isinstance(error("a", mode="create"), PreconditionFailed)
    assert "'the key' in the bucket exists already" in str(error("a", mode="create"))
    assert isinstance(error("a", mode={"e_tag": "9"}), PreconditionFailed)
    missing = clients.translate(FileNotFoundError("x"), key="k", where="the bucket")
    assert missing.kind == ErrorKind.OBJECT_NOT_FOUND


@pytest.mark.parametrize(
    "url",
    [
        "PUT http://169.254.169.254/latest/api/token",
        "GET http://metadata.google.internal/computeMetadata/v1/token",
    ],
)
def test_where_nobody_is_signed_in(url: str) -> None:
    text = f"Generic error: Error performing {url} in 1ms - HTTP error: error sending request"
    error = clients.translate(GenericError(text), key="k", where="the bucket")
    assert isinstance(error, AccessDenied)
    assert "there are no credentials in the environment" in str(error)


def test_messages_are_short_and_without_signatures() -> None:
    text = (
        "Generic S3 error: Error performing PUT https://a.example/c/k?sv=1&sig=SECRET in 1.2ms "
        '- Server returned non-2xx status code: 503 Slow Down: <?xml version="1.0"?>\n<Error>'
        "<Code>SlowDown</Code><Message>Please reduce</Message><HostId>x</HostId></Error>"
        "\n\nDebug source:\nuri: https://a.example/c/k?sig=SECRET"
    )
    error = clients.translate(GenericError(text), key="k", where="S3 bucket 'c'")
    assert error.kind == ErrorKind.THROTTLED
    assert str(error) == (
        "the request for 'k' in S3 bucket 'c' failed: Generic S3 error: Error performing PUT "
        "https://a.example/c/k?... in 1.2ms - Server returned non-2xx status code: 503 Slow Down: "
        "SlowDown: Please reduce"
    )
    for kind in (AlreadyExistsError, PreconditionError):
        assert "SECRET" not in str(clients.translate(kind(text), key="k", where="w"))
