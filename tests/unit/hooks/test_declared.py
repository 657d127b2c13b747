"""Stored hooks: what they may say, and how they are read."""

from __future__ import annotations

from typing import Any

import pytest

from frazil import FormatError, InvalidInputError
from frazil.hooks import Hook
from frazil.hooks.declared import stored_hooks

HOOKS = [
    Hook(name="units", validator="cf", options={"required": ["units"]}),
    Hook(name="test", command=["python", "check.py"], on=["tag"], refs=["v*"], timeout=5),
    Hook(name="chat", webhook="https://chat.example/hook", on=["commit", "branch"], retries=1),
    Hook(name="gate", webhook="http://localhost:1/", when="before"),
]


def test_they_are_read_as_they_were_stored() -> None:
    stored = {hook.name: hook.to_dict() for hook in HOOKS}
    assert stored_hooks(stored) == sorted(HOOKS, key=lambda hook: hook.name)
    assert len({hook.digest for hook in HOOKS}) == len(HOOKS)
    assert [hook.when for hook in HOOKS] == ["before", "before", "after", "before"]
    assert [hook.needs_consent for hook in HOOKS] == [False, True, True, True]


def test_consent_is_for_all_that_a_hook_says() -> None:
    one = Hook(name="test", command=["check"])
    others = [
        Hook(name="test", command=["check", "-x"]),
        Hook(name="test", command=["check"], on=["tag"]),
        Hook(name="test", command=["check"], refs=["v*"]),
        Hook(name="test", command=["check"], timeout=1),
        Hook(name="test", command=["check"], when="after"),
        Hook(name="other", command=["check"]),
    ]
    assert one.digest not in {other.digest for other in others}
    assert one.digest == Hook(name="test", command=("check",)).digest


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "exactly one"),
        ({"validator": "cf", "webhook": "https://x/"}, "exactly one"),
        ({"validator": "best"}, "no validator 'best', only cf"),
        ({"validator": "cf", "options": {"x": 1}}, "unexpected keyword argument 'x'"),
        ({"validator": "cf", "options": {"arrays": 1}}, "list of texts"),
        ({"validator": "schema"}, "neither arrays nor groups"),
        ({"validator": "schema", "options": {"arrays": {"a": {"x": 1}}}}, "known are"),
        ({"validator": "schema", "options": {"arrays": {"a": []}}}, "is a mapping"),
        ({"validator": "schema", "options": {"arrays": []}}, "neither arrays nor groups"),
        ({"validator": "missing-values", "options": {"at_most": 2}}, "at_most"),
        ({"command": "python check.py"}, "command is a list of texts"),
        ({"command": []}, "command is a list of texts"),
        ({"command": ["x"], "options": {"a": 1}}, "options are for validators"),
        ({"command": ["x"], "on": ["push"]}, "on takes"),
        ({"command": ["x"], "when": "now"}, "before"),
        ({"command": ["x"], "timeout": -1}, "timeout"),
        ({"command": ["x"], "timeout": "1"}, "timeout"),
        ({"webhook": "https://x/", "retries": 99}, "retries"),
        ({"webhook": "file:///etc/passwd"}, "http or https"),
        ({"webhook": "https:///x"}, "http or https"),
        ({"webhook": "https://x/\n"}, "http or https"),
    ],
)
def test_what_cannot_be(given: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        Hook(name="x", **given)
    with pytest.raises(FormatError, match=text):
        stored_hooks({"x": given})


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 101])
def test_names(name: str) -> None:
    with pytest.raises(InvalidInputError, match="short text"):
        Hook(name=name, validator="cf")


@pytest.mark.parametrize("stored", [3, [1], {"x": 3}, {"x": {"odd": 1}}, {"x": {"name": "y"}}])
def test_hostile_documents(stored: Any) -> None:
    with pytest.raises(FormatError, match="cannot be understood"):
        stored_hooks(stored)
