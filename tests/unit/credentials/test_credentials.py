"""Credentials: which kind the arguments make, and that secrets stay secret."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from frazil import credentials as c
from frazil.credentials import secret
from frazil.display import Displayed
from frazil.errors import InvalidInputError

SOON = datetime(2030, 1, 1, tzinfo=UTC)
HIDDEN = "hush-Z9"
STATIC: list[Any] = [
    c.S3StaticCredentials(f"id-{HIDDEN}", HIDDEN, f"token-{HIDDEN}", SOON),
    c.GcsBearerCredential(HIDDEN, expires_after=SOON),
    c.GcsStaticCredentials.ServiceAccountKey(HIDDEN),
    c.GcsStaticCredentials.BearerToken(HIDDEN),
    c.AzureStaticCredentials.AccessKey(HIDDEN),
    c.AzureStaticCredentials.SasToken(HIDDEN),
    c.AzureStaticCredentials.BearerToken(HIDDEN),
    c.AzureRefreshableCredential.AccessKey(HIDDEN, expires_after=SOON),
    c.AzureRefreshableCredential.SasToken(HIDDEN),
    c.AzureRefreshableCredential.BearerToken(HIDDEN),
]
WRAPPED: list[Any] = [
    c.Credentials.S3(c.S3Credentials.Static(STATIC[0])),
    c.Credentials.Gcs(c.GcsCredentials.Static(STATIC[2])),
    c.Credentials.Azure(c.AzureCredentials.Static(STATIC[4])),
]


def give_s3() -> c.S3StaticCredentials:
    return c.S3StaticCredentials("id", HIDDEN, expires_after=SOON)


def give_gcs() -> c.GcsBearerCredential:
    return c.GcsBearerCredential(HIDDEN)


def give_azure() -> c.AzureRefreshableCredential.SasToken:
    return c.AzureRefreshableCredential.SasToken(HIDDEN)


def _names(value: Any) -> str:
    return type(value).__name__


# Which kind.


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, "FromEnv"),
        ({"from_env": True}, "FromEnv"),
        ({"anonymous": False}, "FromEnv"),
        ({"from_env": True, "anonymous": False}, "FromEnv"),
        ({"anonymous": True}, "Anonymous"),
        ({"access_key_id": "a", "secret_access_key": "b"}, "Static"),
        ({"access_key_id": "a", "secret_access_key": "b", "from_env": False}, "Static"),
        ({"get_credentials": give_s3}, "Refreshable"),
        ({"get_credentials": give_s3, "from_env": False}, "Refreshable"),
    ],
)
def test_s3(arguments: dict[str, Any], kind: str) -> None:
    assert _names(c.s3_credentials(**arguments)) == kind


@pytest.mark.parametrize(
    "arguments",
    [
        {"from_env": True, "anonymous": True},
        {"from_env": False},
        {"access_key_id": HIDDEN},
        {"secret_access_key": HIDDEN},
        {"session_token": HIDDEN},
        {"expires_after": SOON},
        {"anonymous": True, "session_token": HIDDEN},
        {"from_env": True, "expires_after": SOON},
        {"anonymous": True, "access_key_id": HIDDEN, "secret_access_key": HIDDEN},
        {"get_credentials": give_s3, "access_key_id": HIDDEN, "secret_access_key": HIDDEN},
        {"get_credentials": give_s3, "from_env": True},
    ],
)
def test_s3_refuses_what_does_not_go_together(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="s3_credentials was given") as caught:
        c.s3_credentials(**arguments)
    assert caught.value.kind == "invalid-credentials"
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, "FromEnv"),
        ({"anonymous": False}, "FromEnv"),
        ({"anonymous": True, "bearer_token": "b"}, "Anonymous"),
        ({"anonymous": True, "from_env": True}, "Anonymous"),
        ({"bearer_token": "b", "anonymous": False}, "Static"),
        ({"bearer_token": ""}, "Static"),
        ({"get_credentials": give_gcs}, "Refreshable"),
        ({"get_credentials": give_gcs, "from_env": False}, "Refreshable"),
    ],
)
def test_gcs(arguments: dict[str, Any], kind: str) -> None:
    assert _names(c.gcs_credentials(**arguments)) == kind


@pytest.mark.parametrize(
    "arguments",
    [
        {"from_env": False},
        {"from_env": True, "bearer_token": HIDDEN},
        {"get_credentials": give_gcs, "from_env": True},
        {"get_credentials": give_gcs, "anonymous": True},
        {"get_credentials": give_gcs, "bearer_token": HIDDEN},
    ],
)
def test_gcs_never_ignores_a_function(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="gcs_credentials was given") as caught:
        c.gcs_credentials(**arguments)
    assert HIDDEN not in str(caught.value)


def test_gcs_static_takes_the_first() -> None:
    made = c.gcs_static_credentials(service_account_file="f", bearer_token="b")
    assert made == c.GcsStaticCredentials.ServiceAccount("f")
    assert _names(c.gcs_static_credentials(service_account_key="k")) == "ServiceAccountKey"
    assert _names(c.gcs_static_credentials(application_credentials="k")) == "ApplicationCredentials"
    with pytest.raises(InvalidInputError, match="give one of service_account_file"):
        c.gcs_static_credentials()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, "FromEnv"),
        ({"anonymous": True, "from_env": True}, "Anonymous"),
        ({"anonymous": True, "access_key": "k"}, "Anonymous"),
        ({"access_key": "k"}, "Static"),
        ({"sas_token": "k", "from_env": False}, "Static"),
        ({"bearer_token": "k"}, "Static"),
        ({"get_credentials": give_azure}, "Refreshable"),
        ({"get_credentials": give_azure, "from_env": True}, "Refreshable"),
    ],
)
def test_azure(arguments: dict[str, Any], kind: str) -> None:
    assert _names(c.azure_credentials(**arguments)) == kind


@pytest.mark.parametrize(
    "arguments",
    [
        {"from_env": False},
        {"access_key": HIDDEN, "from_env": True},
        {"access_key": HIDDEN, "sas_token": HIDDEN},
        {"get_credentials": give_azure, "anonymous": True},
    ],
)
def test_azure_refuses_what_does_not_go_together(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="was given") as caught:
        c.azure_credentials(**arguments)
    assert HIDDEN not in str(caught.value)


def test_each_is_an_instance_of_its_family_only() -> None:
    static = c.s3_static_credentials(access_key_id="a", secret_access_key="b")
    assert isinstance(static, c.S3Credentials)
    assert not isinstance(static, c.GcsCredentials)
    assert isinstance(c.HttpAccess, c.Credentials)
    for family in (c.S3Credentials, c.GcsStaticCredentials, c.Credentials):
        with pytest.raises(TypeError, match="choose of"):
            family()


def test_kinds_take_only_what_belongs_in_them() -> None:
    with pytest.raises(TypeError, match="S3Credentials, not FromEnv"):
        c.Credentials.S3(c.azure_credentials())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes S3StaticCredentials, not str") as caught:
        c.S3Credentials.Static(HIDDEN)  # type: ignore[arg-type]
    assert HIDDEN not in str(caught.value)
    with pytest.raises(TypeError, match="takes a str, not int"):
        c.S3StaticCredentials(1, "b")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a datetime with a timezone"):
        c.GcsBearerCredential("b", expires_after=datetime(2030, 1, 1))


def test_kinds_match_by_position() -> None:
    match c.azure_credentials(access_key="k"):
        case c.AzureCredentials.Static(c.AzureStaticCredentials.AccessKey(key)):
            assert key == "k"
        case _:
            pytest.fail("does not match")


# Functions.


@pytest.mark.parametrize(
    ("make", "give"),
    [
        (c.s3_refreshable_credentials, give_s3),
        (c.gcs_refreshable_credentials, give_gcs),
        (c.azure_refreshable_credentials, give_azure),
    ],
)
def test_the_first_credentials_travel_when_asked_for(
    make: Callable[..., Any], give: Callable[[], Any]
) -> None:
    later = make(give)
    assert later.current is None
    assert pickle.loads(later.pickled_function) is give
    assert pickle.loads(pickle.dumps(later)) == later
    now = make(give, scatter_initial_credentials=True)
    assert now.current == give()
    assert HIDDEN in pickle.dumps(now).decode("latin1")
    assert HIDDEN not in str(now) + repr(now) + now._repr_html_()
    assert pickle.loads(pickle.dumps(now)) == now


def test_what_cannot_be_a_function_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at the top level of a module"):
        c.s3_refreshable_credentials(lambda: give_s3())
    with pytest.raises(TypeError, match="a function without arguments, not int"):
        c.s3_refreshable_credentials(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must return S3StaticCredentials, not GcsBearer"):
        c.s3_refreshable_credentials(give_gcs, True)  # type: ignore[arg-type]


# Containers.


def test_credentials_for_containers() -> None:
    given = {
        "s3://a/": c.s3_credentials(),
        "gs://a/": c.gcs_credentials(),
        "az://a/": c.azure_credentials(),
        "file:///": c.LocalFileSystemAccess,
        "https://a/": c.HttpAccess,
        "s3://b/": None,
    }
    made = c.containers_credentials(given)
    assert list(made) == list(given)
    assert [None if v is None else _names(v) for v in made.values()] == [
        "S3",
        "Gcs",
        "Azure",
        "LocalFileSystemAccess",
        "HttpAccess",
        None,
    ]
    assert c.containers_credentials(made) == made  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="for s3://c/ is of an unknown type, str") as caught:
        c.containers_credentials({"s3://c/": HIDDEN})  # type: ignore[dict-item]
    assert HIDDEN not in str(caught.value)


# Secrecy.


@pytest.mark.parametrize("value", [*STATIC, *WRAPPED], ids=_names)
def test_displays_do_not_show_secrets(value: Displayed) -> None:
    shown = str(value) + repr(value) + value._repr_html_() + f"{value}"
    assert HIDDEN not in shown
    assert "****" in shown


def test_the_kind_of_a_real_key_is_shown() -> None:
    keys = c.S3StaticCredentials("AKIAIOSFODNN7EXAMPLE", HIDDEN)
    assert "access_key_id: AKIA****\n" in str(keys)
    assert "session_token: None\n" in str(keys)


@pytest.mark.parametrize("value", [*STATIC, *WRAPPED], ids=_names)
def test_values_compare_and_stay_as_they_are(value: Any) -> None:
    again = copy.deepcopy(value)
    assert again == value
    assert hash(again) == hash(value)
    assert value != object()
    with pytest.raises((AttributeError, TypeError)):
        value.key = "x"


def test_different_values_differ() -> None:
    assert len(set(STATIC)) == len(STATIC)
    assert c.S3StaticCredentials("a", "b") != c.S3StaticCredentials("a", "c")


@pytest.mark.parametrize("value", [*STATIC, *WRAPPED], ids=_names)
def test_pickles_leave_secrets_behind(value: Any) -> None:
    pickled = pickle.dumps(value)
    assert HIDDEN.encode() not in pickled
    assert pickle.loads(pickled) == value


ELSEWHERE = """
import pickle, sys
from frazil.errors import InvalidInputError
value = pickle.loads(bytes.fromhex(sys.argv[1]))
assert value == pickle.loads(pickle.dumps(value))
assert hash(value) == hash(pickle.loads(pickle.dumps(value)))
assert "withheld" in repr(value)
assert not hasattr(value, "other")
try:
    value.secret_access_key
except InvalidInputError as error:
    print(error.kind, error)
print(pickle.dumps(value).hex())
"""


def test_secrets_are_withheld_in_another_process() -> None:
    value = STATIC[0]
    command = [sys.executable, "-c", ELSEWHERE, pickle.dumps(value).hex()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    message, back = done.stdout.splitlines()
    assert message.startswith("invalid-credentials the secrets of this frazil.credentials.S3Static")
    assert "allow_secrets_in_pickles()" in message
    assert pickle.loads(bytes.fromhex(back)) == value


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_secrets_are_known_in_a_forked_child() -> None:
    pickled = pickle.dumps(STATIC[1])
    child = os.fork()
    if child == 0:
        os._exit(0 if pickle.loads(pickled) == STATIC[1] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def _allowed() -> Iterator[None]:
    secret.allow_secrets_in_pickles()
    yield
    secret.allow_secrets_in_pickles(False)


@pytest.mark.usefixtures("_allowed")
@pytest.mark.parametrize("value", [*STATIC, *WRAPPED], ids=_names)
def test_secrets_travel_when_allowed(value: Any) -> None:
    pickled = pickle.dumps(value)
    assert HIDDEN.encode() in pickled
    assert pickle.loads(pickled) == value


def test_the_environment_can_allow_secrets_in_pickles() -> None:
    code = (
        "import pickle\nfrom frazil.credentials import GcsBearerCredential as B\n"
        "print(b'hush' in pickle.dumps(B('hush')))"
    )
    environment = {**os.environ, "FRAZIL_SECRETS_IN_PICKLES": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


# Headers and options.


def test_texts_are_guarded_by_their_names() -> None:
    texts = {
        "Authorization": HIDDEN,
        "X-Api-Key": HIDDEN,
        "Cookie": HIDDEN,
        "proxy_url": HIDDEN,
        "X-Lab": "ice",
        "timeout": "3s",
    }
    kept = secret.guarded(texts)
    assert secret.revealed(kept) == texts
    assert HIDDEN not in repr(kept)
    pickled = pickle.dumps(kept)
    assert HIDDEN.encode() not in pickled
    assert b"ice" in pickled
    assert pickle.loads(pickled) == kept == secret.guarded(dict(reversed(texts.items())))
    assert secret.guarded(None) == ()
