"""The client library in forked processes."""

from __future__ import annotations

import sys

from frazil.storage.client_library import client_library, generation
from tests.children import forks, in_child

pytestmark = forks


def test_a_child_has_its_own_library_and_leaves_the_inherited_one_to_others() -> None:
    import obstore

    theirs = client_library()
    assert theirs is obstore

    def child() -> bool:
        own = client_library()
        assert own is not theirs
        assert own is client_library()
        assert generation() == 1
        store = own.store.MemoryStore()
        store.put("a", b"1")
        assert bytes(store.get("a").bytes()) == b"1"
        import obstore as again

        return again is theirs and sys.modules["obstore._obstore"] is theirs._obstore

    in_child(child)
    assert client_library() is theirs
