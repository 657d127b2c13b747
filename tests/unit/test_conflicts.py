"""Conflicts and solvers as values."""

import pickle

import pytest

from frazil.conflicts import (
    UNSOLVED,
    BasicConflictSolver,
    CallbackSolver,
    Conflict,
    ConflictDetector,
    ConflictSolver,
    ConflictType,
    MetadataMergeSolver,
    ThreeWay,
    VersionSelection,
)


def test_conflict_types_are_numbered_and_read_as_prose() -> None:
    assert [kind.value for kind in ConflictType] == list(range(1, 12))
    assert str(ConflictType.ChunkDoubleUpdate) == "Chunk double update"
    assert repr(ConflictType.ChunkDoubleUpdate) == "ChunkDoubleUpdate"
    assert str(ConflictType.MoveOperationCannotBeRebased) == "Move operation cannot be rebased"


def test_conflicts_compare_by_value() -> None:
    one = Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[0, 1]])
    assert one == Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[0, 1]])
    assert one != Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[0, 2]])
    assert len({one, pickle.loads(pickle.dumps(one))}) == 1


def test_a_conflict_shows_its_fields() -> None:
    assert str(Conflict(ConflictType.ChunkDoubleUpdate, "/a", [[0, 1]])) == (
        "<frazil.conflicts.Conflict>\n"
        "conflict_type: ChunkDoubleUpdate\n"
        "path: /a\n"
        "conflicted_chunks: [[0, 1]]\n"
    )


def test_solvers_are_values_with_the_documented_defaults() -> None:
    assert BasicConflictSolver() == BasicConflictSolver(
        on_chunk_conflict=VersionSelection.UseOurs,
        fail_on_delete_of_updated_array=False,
        fail_on_delete_of_updated_group=False,
    )
    assert BasicConflictSolver(on_chunk_conflict=VersionSelection.Fail) != BasicConflictSolver()
    for solver in (ConflictDetector(), BasicConflictSolver()):
        assert isinstance(solver, ConflictSolver)
        assert pickle.loads(pickle.dumps(solver)) == solver


def test_the_base_solver_cannot_be_used() -> None:
    with pytest.raises(TypeError, match="ConflictDetector"):
        ConflictSolver()


def test_solver_options_go_by_name() -> None:
    with pytest.raises(TypeError):
        BasicConflictSolver(VersionSelection.Fail)  # type: ignore[misc]


def test_the_values_of_a_conflict_are_no_part_of_its_identity() -> None:
    value = ThreeWay("/a", None, {"x": 1}, {"x": 2}, key=("attributes", "k"))
    one = Conflict(ConflictType.ZarrMetadataDoubleUpdate, "/a", values=(value,))
    assert one == Conflict(ConflictType.ZarrMetadataDoubleUpdate, "/a")
    assert "values" not in str(one)
    assert pickle.loads(pickle.dumps(one)).values == (value,)


def test_a_metadata_merge_solver_is_a_basic_one_with_more() -> None:
    solver = MetadataMergeSolver(on_chunk_conflict=VersionSelection.Fail, appends="order")
    assert isinstance(solver, BasicConflictSolver)
    assert pickle.loads(pickle.dumps(solver)) == solver
    defaults = MetadataMergeSolver()
    assert defaults.appends == "fail"
    assert defaults.on_chunk_conflict is BasicConflictSolver().on_chunk_conflict
    assert defaults != BasicConflictSolver()


def test_a_callback_solver_leaves_what_it_is_not_asked_about() -> None:
    assert CallbackSolver(str).otherwise == ConflictDetector()
    assert pickle.loads(pickle.dumps(UNSOLVED)) is UNSOLVED
