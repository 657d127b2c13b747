from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from frazil.errors import SessionStateError
from frazil.format.chunk_refs import InlineRef, Ref
from frazil.format.snapshot import Node, NodeKind, NodeTable
from frazil.ids import NodeId, SnapshotId
from frazil.model.changes import UNEDITED, ChangeSet
from frazil.model.joining import Part, join

BASE = SnapshotId(bytes(12))
LATER = SnapshotId(b"\1" * 12)
"""A snapshot that was stored for a fork of a session with changes."""


def node(number: int, path: str, counts: list[int] | None = None, **attributes: int) -> Node:
    kind = NodeKind.GROUP if counts is None else NodeKind.ARRAY
    shape = tuple((count, count) for count in counts or ())
    document = json.dumps([attributes, counts]).encode()
    return Node(NodeId(bytes([number] * 8)), path, document, kind, shape)


ARRAY, GROUP = node(1, "/a", [10]), node(2, "/g")
NODES = NodeTable.of([ARRAY, GROUP])


def written(*chunks: tuple[int, bytes | None], of: Node = ARRAY) -> ChangeSet:
    changes = ChangeSet()
    for i, data in chunks:
        changes.edits(of).set((i,), None if data is None else InlineRef(data))
    return changes


def updated(new: Node, old: Node = ARRAY) -> ChangeSet:
    changes = ChangeSet()
    changes.update(new, old)
    return changes


def created(*nodes: Node) -> ChangeSet:
    changes = ChangeSet()
    for new in nodes:
        changes.create(new)
    return changes


def deleted(*nodes: Node) -> ChangeSet:
    changes = ChangeSet()
    for old in nodes:
        changes.delete(old)
    return changes


def joined(mine: ChangeSet, *forks: ChangeSet, later: NodeTable = NODES) -> ChangeSet:
    nodes = {BASE: NODES, LATER: later}
    base = BASE if later is NODES else LATER
    return join(mine, NODES, [Part(base, fork) for fork in forks], nodes.__getitem__)


def chunks(changes: ChangeSet, of: Node = ARRAY, upto: int = 10) -> dict[int, bytes | None]:
    found: dict[int, bytes | None] = {}
    for i in range(upto):
        edit: Ref | object = changes.edits(of).get((i,))
        if edit is not UNEDITED:
            found[i] = edit.data if isinstance(edit, InlineRef) else None
    return found


def test_of_a_chunk_the_last_writer_wins() -> None:
    mine = written((0, b"mine"), (1, b"mine"), (5, b"mine"))
    forks = [written((1, b"one"), (2, b"one"), (5, None)), written((2, b"two"), (3, b"two"))]
    result = joined(mine, *forks)
    assert chunks(result) == {0: b"mine", 1: b"one", 2: b"two", 3: b"two", 5: None}
    assert chunks(mine) == {0: b"mine", 1: b"mine", 5: b"mine"}
    assert chunks(forks[0]) == {1: b"one", 2: b"one", 5: None}


def test_thousands_of_forks_are_laid_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from frazil.model import changes as module

    stacked = []
    stack = module.stack

    def counting(runs, ndim):  # type: ignore[no-untyped-def]
        stacked.append(sum(map(len, runs)))
        return stack(runs, ndim)

    array = node(1, "/a", [3000])
    forks = [written((i, b"%d" % i), of=array) for i in range(3000)]
    monkeypatch.setattr(module, "stack", counting)
    nodes = NodeTable.of([array])
    result = join(ChangeSet(), nodes, [Part(BASE, fork) for fork in forks], lambda _: nodes)
    assert len(result.chunks[array.id].columns()) == 3000
    assert max(stacked) == 3000
    assert sum(count for count in stacked if count > 1) == 3000


def test_new_nodes_and_deleted_ones() -> None:
    new = node(3, "/new", [4])
    fork = created(new)
    fork.edits(new).set((0,), InlineRef(b"x"))
    fork.delete(GROUP)
    result = joined(ChangeSet(), fork)
    assert list(result.created) == ["/new"]
    assert list(result.deleted) == [GROUP.id]
    assert chunks(result, new, 4) == {0: b"x"}


def test_a_fork_can_be_merged_again_after_more_work() -> None:
    new = node(3, "/new", [4])
    fork = created(new)
    once = joined(ChangeSet(), fork)
    fork.update(node(3, "/new", [6], x=1), new)
    fork.edits(node(3, "/new", [6])).set((5,), InlineRef(b"x"))
    twice = joined(once, fork)
    assert twice.created["/new"].shape == ((6, 6),)
    assert chunks(twice, twice.created["/new"], 6) == {5: b"x"}


def test_another_node_in_the_place_of_a_deleted_one() -> None:
    fork = deleted(ARRAY)
    fork.create(node(3, "/a", [2]))
    result = joined(ChangeSet(), fork)
    assert result.created["/a"].shape == ((2, 2),)
    assert ARRAY.id in result.deleted


@pytest.mark.parametrize(
    ("mine", "fork"),
    [
        (created(node(3, "/n")), created(node(4, "/n"))),
        (created(node(3, "/n")), created(node(4, "/n", [2]))),
        (ChangeSet(), created(node(4, "/a", [2]))),
        (updated(node(1, "/a", [10], x=1)), updated(node(1, "/a", [10], x=2))),
        (deleted(ARRAY), updated(node(1, "/a", [10], x=2))),
        (updated(node(1, "/a", [10], x=1)), deleted(ARRAY)),
        (deleted(ARRAY), written((0, b"x"))),
        (written((0, b"x")), deleted(ARRAY)),
        (updated(node(1, "/a", [3])), deleted(ARRAY)),
        (updated(node(2, "/g", x=1), GROUP), updated(node(2, "/g", x=2), GROUP)),
        (deleted(GROUP), updated(node(2, "/g", x=2), GROUP)),
        (updated(node(1, "/a", [5, 5])), written((0, b"x"))),
        (written((0, b"x")), updated(node(1, "/a", [5, 5]))),
    ],
)
def test_changes_that_exclude_each_other(mine: ChangeSet, fork: ChangeSet) -> None:
    before = mine.mark()
    with pytest.raises(SessionStateError) as caught:
        joined(mine, written((7, b"other")), fork)
    assert caught.value.kind == "merge-failed"
    assert mine.mark() == before


def test_many_conflicts_make_a_short_message() -> None:
    mine = created(*(node(10 + i, f"/n{i}") for i in range(30)))
    fork = created(*(node(50 + i, f"/n{i}") for i in range(30)))
    with pytest.raises(SessionStateError, match=r"/n0 was created .* and 20 more$"):
        joined(mine, fork)


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    same = node(1, "/a", [10], x=1)
    assert joined(updated(same), updated(same)).updated == {ARRAY.id: same}
    assert list(joined(deleted(GROUP), deleted(GROUP)).deleted) == [GROUP.id]


def test_a_fork_goes_on_with_metadata_that_the_session_had_changed_before() -> None:
    first, second = node(1, "/a", [10], x=1), node(1, "/a", [10], x=2)
    later = NodeTable.of([first, GROUP])
    result = joined(updated(first), updated(second, first), later=later)
    assert result.updated[ARRAY.id].user_data == second.user_data


def test_a_fork_goes_on_with_what_the_session_had_created() -> None:
    new, larger = node(3, "/n", [4]), node(3, "/n", [8])
    later = NodeTable.of([ARRAY, GROUP, new])
    fork = updated(larger, new)
    fork.edits(larger).set((6,), InlineRef(b"x"))
    result = joined(created(new), fork, later=later)
    assert result.created["/n"].shape == ((8, 8),)
    assert chunks(result, larger, 8) == {6: b"x"}
    assert not result.updated
    gone = joined(created(new), deleted(new), later=later)
    assert gone.is_empty()
    with pytest.raises(SessionStateError):
        joined(ChangeSet(), written((0, b"x"), of=new), later=later)


@pytest.mark.parametrize("fork_shrinks", [True, False])
def test_chunks_outside_of_a_grid_that_one_side_made_smaller_are_gone(fork_shrinks: bool) -> None:
    smaller, chunk = updated(node(1, "/a", [3])), written((1, b"in"), (7, b"out"))
    mine, fork = (chunk, smaller) if fork_shrinks else (smaller, chunk)
    result = joined(mine, fork)
    assert result.updated[ARRAY.id].shape == ((3, 3),)
    assert chunks(result)[1] == b"in"
    assert chunks(result)[7] is None
    assert result.chunks[ARRAY.id].visible == (3,)
    assert result.chunks[ARRAY.id].shrunk


def test_a_grid_that_a_fork_made_smaller_and_larger_again_hides_what_was_there() -> None:
    fork = updated(node(1, "/a", [3]))
    fork.update(node(1, "/a", [12], x=1), node(1, "/a", [3]))
    fork.edits(node(1, "/a", [12])).set((11,), InlineRef(b"new"))
    result = joined(written((5, b"before")), fork)
    edits = result.chunks[ARRAY.id]
    assert edits.visible == (3,)
    assert edits.get((5,)) is None
    assert edits.get((11,)) == InlineRef(b"new")


def test_changes_survive_pickling() -> None:
    changes = written(*((i, b"%d" % i) for i in range(9)), (3, None))
    changes.update(node(1, "/a", [5]), ARRAY)
    changes.create(node(3, "/n"))
    again: ChangeSet = pickle.loads(pickle.dumps(changes))
    assert chunks(again) == chunks(changes)
    assert again.created == changes.created
    assert again.updated == changes.updated
    edits, other = again.chunks[ARRAY.id], changes.chunks[ARRAY.id]
    assert (edits.visible, edits.shrunk) == (other.visible, other.shrunk)
    edits.set((0,), None)
    assert chunks(changes)[0] == b"0"


def test_a_copy_is_independent_and_a_mark_tells() -> None:
    changes = written((1, b"x"))
    mark, copy = changes.mark(), changes.copy()
    copy.edits(ARRAY).set((2,), None)
    copy.delete(GROUP)
    assert changes.mark() == mark
    assert chunks(changes) == {1: b"x"}
    changes.edits(ARRAY).set((1,), InlineRef(b"x"))
    assert changes.mark() != mark
    assert np.array_equal(copy.chunks[ARRAY.id].columns().index, [[1], [2]])
