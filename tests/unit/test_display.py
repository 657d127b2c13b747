"""The text, HTML and constructor forms of values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import pytest

import frazil
from frazil.display import DisplayedAsCall, Shown, brief, literal
from frazil.types import RepoAvailability


@dataclass(repr=False)
class Inner(DisplayedAsCall):
    size: int | None = None
    _public_name: ClassVar[str] = "frazil.Inner"

    def _shown(self) -> Iterable[Shown]:
        return [Shown("size", self.size, 512)]


@dataclass(repr=False)
class Outer(DisplayedAsCall):
    name: object = "a<b"
    inner: Inner | None = None
    _public_name: ClassVar[str] = "frazil.Outer"

    def _shown(self) -> Iterable[Shown]:
        return [Shown("name", self.name), Shown("inner", self.inner, Inner())]


def test_text_shows_defaults_and_indents_groups() -> None:
    assert str(Outer()) == (
        "<frazil.Outer>\nname: a<b\ninner:\n    <frazil.Inner>\n    size: 512 (default)\n"
    )
    assert "    size: 3\n" in str(Outer(inner=Inner(3)))


def test_text_names_members_of_enumerations() -> None:
    assert "name: ReadOnly\n" in str(Outer(RepoAvailability.read_only))
    assert literal(RepoAvailability.read_only) == "frazil.RepoAvailability.read_only"


def test_text_of_a_repository_is_brief_and_its_html_whole() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=1)
    assert str(repo) == (
        f"<frazil.Repository (v1)>\nid: {repo.id}\n"
        "storage:\n    <frazil.Storage>\n    type: in-memory\n"
        "config: <frazil.config.RepositoryConfig ...>\n"
    )
    assert "num_chunk_refs" in repo._repr_html_()


def test_text_shows_maps_of_values_as_groups() -> None:
    assert str(Outer(name={"k": Inner(1)})) == (
        "<frazil.Outer>\nname:\n    k:\n        <frazil.Inner>\n        size: 1\n"
        "inner:\n    <frazil.Inner>\n    size: 512 (default)\n"
    )


def test_the_constructor_form_can_be_evaluated() -> None:
    value = Outer('q"uo\\te\nd', Inner(3))
    names = {"Outer": Outer, "Inner": Inner}
    assert eval(repr(value).replace("frazil.", ""), names) == value
    assert repr(Outer(inner=Inner())) == (
        'frazil.Outer(\n    name="a<b",\n    inner=frazil.Inner(\n        size=None,\n    ),\n)'
    )


def test_html_escapes_and_folds() -> None:
    shown = Outer(name="<script>", inner=Inner())._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<details><summary>inner</summary>" in shown
    assert shown.count("<style>") == 1


@pytest.mark.parametrize(
    "value", [None, 1, True, "a'b\"c", ["x", 1], ("x",), ("x", 2), {"k": [1, {"l": 2}]}, {}]
)
def test_literals_can_be_evaluated(value: object) -> None:
    assert eval(literal(value)) == value


def test_one_line_for_messages() -> None:
    storage = frazil.local_filesystem_storage("weather")
    assert brief(storage) == "type: local filesystem, path: weather"
