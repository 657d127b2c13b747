"""Each fault at each operation on the storage: nothing reported is lost, nothing is half-done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from frazil.storage.memory import MemoryBackend
from tests.scenario import faults
from tests.scenario.faults import (
    Flow,
    How,
    Operation,
    Seen,
    Spoiled,
    attempt,
    build,
    seen,
    steps,
    stored,
)
from tests.scenario.places import storage_around
from tests.scenario.scheduler import Place, prepare_process

EDITS = [
    *(faults.commits, faults.rebases, faults.amends, faults.resets, faults.configures),
    *(faults.tags, faults.untags, faults.deletes),
]
"""Done or not done, and nothing in between."""
CLEANINGS = [faults.expires, faults.collects, faults.expires_and_collects]
"""What a reader sees of them is less history at most; what is left over is for the next one."""


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        prepare_process(patch)
        yield


@pytest.fixture
def base(spec: int) -> Place:
    place = Place()
    build(storage_around(place.backend), spec)
    return place


def clean_run(base: Place, flow: Flow) -> tuple[list[Operation], MemoryBackend]:
    """The operations that the flow does, and what it leaves."""
    inner = base.copy()
    counted = Spoiled(inner, -1, None)
    assert flow(storage_around(counted), storage_around(inner)) is not None
    return counted.done, inner


@pytest.mark.parametrize("flow", EDITS, ids=lambda flow: flow.__name__)
def test_an_edit_is_done_and_reported_or_neither(base: Place, flow: Flow, spec: int) -> None:
    if flow is faults.amends and spec == 1:
        pytest.skip("no amended commits in this version")
    operations, done = clean_run(base, flow)
    after, before = seen(storage_around(done)), seen_before(base, flow)
    assert after not in before
    # Of a file that anybody would write in the same way only the storage can tell whose it is.
    untold = [faults.tags, faults.untags, faults.configures] if spec == 1 else []
    for step, how in steps(operations):
        inner = base.copy()
        spoiled = Spoiled(inner, step, how)
        reported = attempt(flow, storage_around(spoiled), storage_around(inner))
        found = seen(storage_around(inner))
        where = f"step {step}, {spoiled.done[step:][:1]}: {how.value}"
        if reported is not None:
            assert found == after, where
        elif how in (How.DOWN, How.KILLED) or (how is How.DENIED and flow in untold):
            assert found == after or found in before, where
        else:
            assert found in before, where
        if found != after:
            flow(storage_around(inner), storage_around(inner))
            assert seen(storage_around(inner)) == after, where


def seen_before(base: Place, flow: Flow) -> list[Seen]:
    """What may be seen when the flow is not done: of a rebase, with the rival's commit or not."""
    states = [seen(storage_around(base.backend))]
    if flow is faults.rebases:
        inner = base.copy()
        faults.overtakes(storage_around(inner))
        states.append(seen(storage_around(inner)))
    return states


@pytest.mark.parametrize("flow", CLEANINGS, ids=lambda flow: flow.__name__)
def test_what_is_in_use_is_never_cleaned_away(base: Place, flow: Flow) -> None:
    operations, done = clean_run(base, flow)
    before, after = seen(storage_around(base.backend)), seen(storage_around(done))
    assert stored(storage_around(done)) < stored(storage_around(base.backend)) or (
        flow is faults.expires
    )
    for step, how in steps(operations):
        inner = base.copy()
        spoiled = Spoiled(inner, step, how)
        reported = attempt(flow, storage_around(spoiled), storage_around(inner))
        found = seen(storage_around(inner))
        where = f"step {step}, {spoiled.done[step:][:1]}: {how.value}"
        assert found.is_part_of(before), where
        assert after.is_part_of(found), where
        if reported is not None:
            assert found == after, where
        flow(storage_around(inner), storage_around(inner))
        assert seen(storage_around(inner)) == after, where
        assert stored(storage_around(inner)) == stored(storage_around(done)), where
