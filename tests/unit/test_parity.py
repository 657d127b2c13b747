"""The public names are those of Icechunk, but for a list that only shrinks."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

import frazil
from tests.parity.compare import (
    Parameter,
    differences,
    faults,
    inventory,
    listed,
    parameters_of,
)


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return faults()


def test_nothing_is_missing_or_different_but_what_is_listed(found: dict[str, str]) -> None:
    assert {name: fault for name, fault in found.items() if name not in listed()} == {}


def test_nothing_is_listed_that_is_there(found: dict[str, str]) -> None:
    assert listed() - found.keys() == set(), "run: python -m tests.parity.update"


def test_only_known_names_are_listed() -> None:
    assert listed() <= inventory().keys()


def test_everything_exported_exists() -> None:
    assert [name for name in frazil.__all__ if not hasattr(frazil, name)] == []
    assert len(set(frazil.__all__)) == len(frazil.__all__)


# The comparison itself.


def _got(function: Callable[..., object]) -> list[Parameter]:
    parameters = inspect.signature(function).parameters.values()
    return [Parameter(p.name, p.kind, p.default) for p in parameters]


def same(a: int, /, b: str = "x", *args: int, c: bool = False, d: object, **more: int) -> None: ...
def other_names(a: int, /, z: str = "x", *args: int, c: bool, d: object, **more: int) -> None: ...
def other_default(
    a: int, /, b: str = "y", *args: int, c: bool = False, d: int, **more: int
) -> None: ...
def no_default(a: int, /, b: str = "x", *args: int, c: bool, d: object, **more: int) -> None: ...
def a_default(
    a: int, /, b: str = "x", *args: int, c: bool = False, d: int = 1, **more: int
) -> None: ...


WANTED = 'async (self, a: int, /, b: str="x", *args: int, c: bool=False, d, **more) -> int'


def test_a_signature_is_compared_whole() -> None:
    wanted = parameters_of(WANTED)
    assert wanted is not None
    assert differences(wanted, _got(same)) == []
    assert differences(wanted, _got(other_names)) != []
    assert differences(wanted, _got(other_default)) == ["b is 'y' by default, not 'x'"]
    assert differences(wanted, _got(no_default)) == ["c lacks a default"]
    assert differences(wanted, _got(a_default)) == ["d has a default"]


def test_keywords_may_also_go_by_position_but_not_the_other_way() -> None:
    keyword, position = parameters_of("(*, a)"), parameters_of("(a)")
    assert keyword is not None
    assert position is not None
    assert differences(keyword, position) == []
    assert differences(position, keyword) == ["a is keyword-only, not positional or keyword"]


@pytest.mark.parametrize("line", ["class(Enum)", "value = 3", "property -> int", "alias of x.y"])
def test_lines_about_other_things_have_no_parameters(line: str) -> None:
    assert parameters_of(line) is None
