"""Branches and tags: their names, their errors, and where they point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import frazil
from frazil import ConflictError, Repository
from frazil.errors import (
    AlreadyExistsError,
    ErrorKind,
    IcechunkError,
    InvalidInputError,
    RefNotFoundError,
    SessionStateError,
    SnapshotNotFoundError,
    StorageError,
)
from tests.scenario.places import everywhere
from tests.scenario.trees import chunks, commit, get, grown, tip

UNKNOWN = "0" * 20


def raises(error: type[IcechunkError], kind: str, call: Callable[[], Any]) -> IcechunkError:
    with pytest.raises(error) as caught:
        call()
    assert caught.value.kind == kind
    return caught.value


@everywhere
def test_branches_come_and_go(repo: Repository) -> None:
    one, two = grown(repo), commit(repo, chunks("a", [0], b"two"))
    repo.create_branch("dev", one)
    assert repo.list_branches() == {"main", "dev"}
    assert repo.lookup_branch("dev") == one
    assert repo.lookup_branch("main") == two
    assert get(repo.readonly_session("dev"), "a/c/0") == b"base"
    repo.delete_branch("dev")
    assert repo.list_branches() == {"main"}
    repo.create_branch("dev", two)  # its name is free again
    assert repo.lookup_branch("dev") == two


@everywhere
def test_tags_stay(repo: Repository) -> None:
    one = grown(repo)
    repo.create_tag("v1", one)
    commit(repo, chunks("a", [0], b"two"))
    assert repo.list_tags() == {"v1"}
    assert repo.lookup_tag("v1") == one
    assert get(repo.readonly_session(tag="v1"), "a/c/0") == b"base"
    raises(
        AlreadyExistsError,
        ErrorKind.TAG_ALREADY_EXISTS,
        lambda: repo.create_tag("v1", repo.lookup_branch("main")),
    )
    assert repo.lookup_tag("v1") == one


@everywhere
def test_the_name_of_a_deleted_tag_is_burnt(repo: Repository, spec: int) -> None:
    one = grown(repo)
    repo.create_tag("v1", one)
    repo.create_tag("v2", one)
    repo.delete_tag("v1")
    assert repo.list_tags() == {"v2"}
    for call in (
        lambda: repo.lookup_tag("v1"),
        lambda: repo.delete_tag("v1"),
        lambda: repo.readonly_session(tag="v1"),
    ):
        raises(RefNotFoundError, ErrorKind.REF_NOT_FOUND, call)
    kind = ErrorKind.TAG_ALREADY_EXISTS if spec == 1 else ErrorKind.TAG_PREVIOUSLY_DELETED
    again = Repository.open(repo.storage)
    raises(AlreadyExistsError, kind, lambda: again.create_tag("v1", one))
    again.create_branch("v1", one)  # a branch is another matter


def test_a_branch_that_exists(repo: Repository, spec: int) -> None:
    one = grown(repo)
    if spec == 1:
        kind, error = ErrorKind.BRANCH_UPDATE_CONFLICT, ConflictError
    else:
        kind, error = ErrorKind.BRANCH_ALREADY_EXISTS, AlreadyExistsError  # type: ignore[assignment]
    for name in ("main", "dev"):
        if name == "dev":
            repo.create_branch("dev", one)
        raises(error, kind, lambda name=name: repo.create_branch(name, one))  # type: ignore[misc]


def test_main_must_stay(repo: Repository) -> None:
    call = lambda: repo.delete_branch("main")  # noqa: E731
    raises(SessionStateError, ErrorKind.CANNOT_DELETE_MAIN, call)
    assert repo.list_branches() == {"main"}


def test_what_is_missing(repo: Repository) -> None:
    one = grown(repo)
    for call in (
        lambda: repo.delete_branch("x"),
        lambda: repo.delete_tag("x"),
        lambda: repo.lookup_branch("x"),
        lambda: repo.lookup_tag("x"),
        lambda: repo.readonly_session("x"),
        lambda: repo.readonly_session(branch="x"),
        lambda: repo.readonly_session(tag="x"),
        lambda: repo.writable_session("x"),
        lambda: repo.reset_branch("x", one),
        lambda: list(repo.ancestry(branch="x")),
        lambda: list(repo.ancestry(tag="x")),
        lambda: repo.diff(from_branch="x", to_branch="main"),
    ):
        error = raises(RefNotFoundError, ErrorKind.REF_NOT_FOUND, call)
        assert "'x'" in error.message


def test_snapshots_must_be_known(repo: Repository, spec: int) -> None:
    grown(repo)
    if spec == 1:
        error, kind = StorageError, ErrorKind.OBJECT_NOT_FOUND
    else:
        error, kind = SnapshotNotFoundError, ErrorKind.SNAPSHOT_NOT_FOUND  # type: ignore[assignment]
    for call in (
        lambda: repo.create_branch("x", UNKNOWN),
        lambda: repo.create_tag("x", UNKNOWN),
        lambda: repo.reset_branch("main", UNKNOWN),
    ):
        raises(error, kind, call)
    assert repo.list_branches() == {"main"}
    assert repo.list_tags() == set()


@pytest.mark.parametrize("text", ["", "x", "0" * 19, "0" * 21, "U" * 20, "é" * 20])
def test_snapshot_ids_must_be_ids(repo: Repository, text: str) -> None:
    for call in (
        lambda: repo.create_branch("x", text),
        lambda: repo.create_tag("x", text),
        lambda: repo.reset_branch("main", text),
        lambda: repo.reset_branch("main", repo.lookup_branch("main"), from_snapshot_id=text),
        lambda: repo.lookup_snapshot(text),
        lambda: repo.readonly_session(snapshot_id=text),
    ):
        raises(InvalidInputError, ErrorKind.INVALID_SNAPSHOT_ID, call)


def test_the_case_of_an_id_does_not_matter(repo: Repository) -> None:
    one = grown(repo)
    assert repo.lookup_snapshot(one.lower()).id == one
    repo.create_branch("dev", one.lower())
    assert repo.readonly_session("dev").snapshot_id == one


# Resetting


def test_a_branch_can_be_reset_to_any_snapshot(repo: Repository) -> None:
    one = grown(repo)
    two = commit(repo, chunks("a", [0], b"two"))
    repo.reset_branch("main", one)
    assert repo.lookup_branch("main") == one
    assert get(tip(repo), "a/c/0") == b"base"
    other = commit(repo, chunks("a", [1], b"other"))
    repo.reset_branch("main", two, from_snapshot_id=other)  # of another line
    assert get(tip(repo), "a/c/0") == b"two"
    assert get(tip(repo), "a/c/1") == b"base"
    assert [item.id for item in repo.ancestry(snapshot_id=other)][:2] == [other, one]


@everywhere
def test_a_reset_can_ask_where_the_branch_is(repo: Repository) -> None:
    one = grown(repo)
    two = commit(repo, chunks("a", [0], b"two"))
    error = raises(
        ConflictError,
        ErrorKind.BRANCH_UPDATE_CONFLICT,
        lambda: repo.reset_branch("main", one, from_snapshot_id=one),
    )
    assert isinstance(error, ConflictError)
    assert (error.expected_parent, error.actual_parent) == (one, two)
    assert repo.lookup_branch("main") == two
    repo.reset_branch("main", one, from_snapshot_id=two)
    assert repo.lookup_branch("main") == one


# Names

ODD_NAMES = [
    "with space",
    "with.dot",
    "..",
    ".",
    ".hidden",
    "ünïcödé-☃",
    "back\\slash",
    "per%cent",
    "per%2fcent",
    "a:b*c?d",
    "tab\tand\nline",
    "CON",
    "Main",
    "trailing.",
    " ",
    "",
    "-",
    "tag.x",
    "ref.json",
    "x" * 150,
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(repo: Repository, name: str) -> None:
    one = grown(repo)
    repo.create_branch(name, one)
    repo.create_tag(name, one)
    assert repo.list_branches() == {"main", name}
    assert repo.list_tags() == {name}
    session = repo.writable_session(name)
    session.store.sync_clear()
    two = session.commit("cleared")
    again = Repository.open(repo.storage)
    assert again.lookup_branch(name) == two
    assert again.lookup_tag(name) == one
    again.delete_branch(name)
    again.delete_tag(name)
    assert again.list_branches() == {"main"}
    assert again.list_tags() == set()


@pytest.mark.parametrize("name", ["a/b", "/", "/a", "a/", "../x"])
def test_names_with_slashes(repo: Repository, spec: int, name: str) -> None:
    one = grown(repo)
    if spec == 2:
        repo.create_branch(name, one)
        repo.create_tag(name, one)
        assert name in repo.list_branches()
        assert name in repo.list_tags()
        return
    for call in (
        lambda: repo.create_branch(name, one),
        lambda: repo.create_tag(name, one),
        lambda: repo.lookup_branch(name),
        lambda: repo.lookup_tag(name),
        lambda: repo.delete_branch(name),
        lambda: repo.delete_tag(name),
        lambda: repo.readonly_session(name),
    ):
        raises(InvalidInputError, ErrorKind.INVALID_REF_NAME, call)


def test_names_that_differ_in_case_only(repo: Repository) -> None:
    one = grown(repo)
    two = commit(repo, chunks("a", [0], b"two"))
    repo.create_branch("dev", one)
    repo.create_branch("DEV", two)
    assert (repo.lookup_branch("dev"), repo.lookup_branch("DEV")) == (one, two)


def test_a_spec_1_reference_that_is_damaged_is_named() -> None:
    storage = frazil.in_memory_storage()
    repo = Repository.create(storage, spec_version=1)
    storage.backend().put("refs/branch.main/ref.json", b"{")
    with pytest.raises(frazil.FormatError, match=r"branch\.main"):
        repo.lookup_branch("main")
