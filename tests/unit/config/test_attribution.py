"""Attributions and feature flags."""

import pickle

import pytest

from frazil.config import Attribution, FeatureFlag


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client", "tool"),
        ("client", "tool/1.2"),
        ("client", "a!#$%&'*+-.^_`|~9"),
        ("client", "x" * 128),
        ("workload", ""),
        ("workload", "nightly run 3/4"),
        ("principal", " a@b "),
    ],
)
def test_fit_values(name: str, value: str) -> None:
    one = Attribution(**{name: value})
    assert getattr(one, name) == value
    assert one == Attribution(**{name: value}) != Attribution()
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("client", value) for value in ["", "a b", "a/b/c", "/1", "a/", "a@b", "é", "x" * 129]),
        *((name, f"a{c}b") for name in ("workload", "principal") for c in '()\\;="\t\n\x7fé'),
        ("workload", "x" * 129),
    ],
)
def test_unfit_values(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        Attribution(**{name: value})


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Attribution().client = "x"  # type: ignore[misc]


def test_a_flag_without_setting_has_its_default() -> None:
    assert FeatureFlag(4, "create_tag", True).enabled
    assert not FeatureFlag(4, "create_tag", True, False).enabled
    assert not FeatureFlag(4, "create_tag", False).enabled
    assert "enabled: True" in str(FeatureFlag(4, "create_tag", True))
