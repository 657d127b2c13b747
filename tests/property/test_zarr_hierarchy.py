"""Zarr's model of a hierarchy: any sequence of changes leaves what a plain store would hold."""

from __future__ import annotations

import pytest
import zarr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from hypothesis.strategies import DataObject
from zarr.testing.stateful import ZarrHierarchyStateMachine

import frazil


class Hierarchy(ZarrHierarchyStateMachine):
    """Changes in a session, with commits in between."""

    def __init__(self, repo: frazil.Repository) -> None:
        self.repo = repo
        self.session = repo.writable_session("main")
        super().__init__(self.session.store)

    @precondition(lambda self: bool(self.all_groups))
    @rule(data=st.data())
    def check_list_dir(self, data: DataObject) -> None:
        path = self.draw_directory(data)
        expected = set(self._sync_iter(self.model.list_dir(path)))
        if path in self.all_arrays:
            expected.add("c")  # also of an array without chunks, where the model has none
        assert sorted(self._sync_iter(self.store.list_dir(path))) == sorted(expected)

    @rule()
    def commit(self) -> None:
        self.session.commit("so far", allow_empty=True)
        self.session = self.repo.writable_session("main")
        self.store = self.session.store


@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("spec", [1, 2])
def test_any_sequence_of_changes(spec: int) -> None:
    def machine() -> Hierarchy:
        storage = frazil.in_memory_storage()
        return Hierarchy(frazil.Repository.create(storage, spec_version=spec))

    with zarr.config.set({"array.write_empty_chunks": False}):
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            machine,
            settings=settings(
                max_examples=15,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
