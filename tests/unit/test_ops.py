"""Entries of the operations log and summaries of collections."""

import pickle
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from frazil.ops import UPDATE_KINDS, GCSummary, Update, UpdateType
from frazil.status import RepoStatus
from frazil.types import RepoAvailability

AT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def test_every_kind_is_a_member_of_the_base() -> None:
    assert len(UPDATE_KINDS) == 16
    for kind in UPDATE_KINDS:
        assert getattr(UpdateType, kind.__name__) is kind
        assert issubclass(kind, UpdateType)


def test_kinds_can_be_told_apart() -> None:
    kind = UpdateType.NewCommit("main", "1CECHNKREP0F1RSTCMT0")
    assert isinstance(kind, UpdateType.NewCommit)
    assert not isinstance(kind, UpdateType.CommitAmended)
    match kind:
        case UpdateType.NewCommit(branch=branch):
            assert branch == "main"
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize("kind", UPDATE_KINDS, ids=lambda kind: kind.__name__)
def test_kinds_are_values_that_show_their_call(kind: type[UpdateType]) -> None:
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    values = {name: RepoStatus(RepoAvailability.online, AT) for name in names if name == "status"}
    values |= {name: f"some {name}" for name in names if name != "status"}  # type: ignore[misc]
    one, other = kind(**values), kind(**values)
    assert one == other
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(one).startswith(f"frazil.ops.UpdateType.{kind.__name__}(")


def test_an_update_shows_its_fields() -> None:
    update = Update(UpdateType.TagCreated("v1"), AT, "repo.1")
    assert str(update) == (
        "<frazil.ops.Update>\n"
        'kind: frazil.ops.UpdateType.TagCreated(name="v1")\n'
        "updated_at: 2024-05-06T07:08:09+00:00\n"
        "backup_path: repo.1\n"
    )
    assert pickle.loads(pickle.dumps(update)) == update


def test_a_summary_starts_from_zero() -> None:
    assert GCSummary() == GCSummary(0, 0, 0, 0, 0, 0, 0, 0, [], [])
    assert "delete_errors: []" in str(GCSummary())
    assert pickle.loads(pickle.dumps(GCSummary(chunks_deleted=2))).chunks_deleted == 2
