"""Errors carry their facts, also through pickling."""

import pickle

import pytest

from frazil import errors
from frazil.conflicts import Conflict, ConflictType
from frazil.errors import (
    ConflictError,
    ErrorKind,
    IcechunkError,
    InvalidInputError,
    NodeNotFoundError,
    NotFoundError,
    RebaseFailedError,
)


def test_kinds_compare_with_texts() -> None:
    error = NodeNotFoundError("no node at /a", ErrorKind.NODE_NOT_FOUND)
    assert error.kind == ErrorKind.NODE_NOT_FOUND == "node-not-found"
    assert error.message == str(error) == "no node at /a"
    assert isinstance(error, (KeyError, NotFoundError))
    assert IcechunkError("x").kind == "unknown"
    assert isinstance(InvalidInputError("x"), ValueError)


def test_a_conflict_names_both_parents() -> None:
    error = ConflictError("A", None)
    assert str(error) == ('Failed to commit, expected parent: Some("A"), actual parent: None')
    assert (error.expected_parent, error.actual_parent, error.kind) == (
        "A",
        None,
        "commit-conflict",
    )
    assert ConflictError(message="m", kind="repo-info-updated").kind == "repo-info-updated"


def test_a_failed_rebase_lists_what_stands_against_it() -> None:
    conflicts = [Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[0]])]
    error = RebaseFailedError("S", conflicts)
    assert str(error) == "Rebase failed on snapshot S: 1 conflicts found"
    assert (error.snapshot, error.conflicts, error.kind) == ("S", conflicts, "rebase-failed")


@pytest.mark.parametrize(
    "error",
    [
        NodeNotFoundError("gone", ErrorKind.NODE_NOT_FOUND),
        ConflictError("A", "B"),
        RebaseFailedError("S", [Conflict(ConflictType.ChunkDoubleUpdate, "/a")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_pickling_keeps_everything(error: IcechunkError) -> None:
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def test_the_tree_in_the_docstring_is_complete() -> None:
    drawn = errors.__doc__ or ""
    classes = [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, IcechunkError)
    ]
    assert len(classes) == 16
    assert [cls.__name__ for cls in classes if f"── {cls.__name__}" not in drawn] == [
        "IcechunkError"
    ]
