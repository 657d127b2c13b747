"""The functions that make storages in object stores."""

from __future__ import annotations

from typing import Any

import pytest

import frazil
from frazil.errors import StorageError

KEYS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "hush"}


@pytest.mark.parametrize(
    ("other", "usual"),
    [
        ({"account_name": "a", "account_key": "hush"}, {"account": "a", "access_key": "hush"}),
        ({"account_name": "a", "access_token": "hush"}, {"account": "a", "bearer_token": "hush"}),
        (
            {"account": "a", "account_key": None, "sas_token": "x"},
            {"account": "a", "sas_token": "x"},
        ),
    ],
)
def test_arguments_of_azure_have_other_names(other: dict[str, Any], usual: dict[str, Any]) -> None:
    place = {"container": "c", "prefix": "p"}
    assert frazil.azure_storage(**place, **other) == frazil.azure_storage(**place, **usual)


def test_an_argument_is_given_once() -> None:
    with pytest.raises(TypeError, match="got access_key twice, also as account_key") as caught:
        frazil.azure_storage(
            account="a", container="c", prefix="p", access_key="hush", account_key="hush"
        )
    assert "hush" not in str(caught.value)
    with pytest.raises(TypeError, match="account"):
        frazil.azure_storage(container="c", prefix="p")  # type: ignore[call-arg]


def test_hugging_face() -> None:
    storage = frazil.hf_storage(bucket="b", prefix="p", namespace="n", **KEYS)
    assert str(storage) == (
        "<frazil.Storage>\ntype: S3 (native)\nbucket: b\nprefix: p\nregion: us-east-1\n"
        "endpoint_url: https://s3.hf.co/n\nforce_path_style: True\n"
    )
    for place in ({"bucket": "", "namespace": "n"}, {"bucket": "b", "namespace": ""}):
        with pytest.raises(StorageError, match="needs a namespace"):
            frazil.hf_storage(prefix="p", **place, **KEYS)
