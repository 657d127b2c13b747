"""Sums of chunk bytes."""

from frazil.stats import ChunkStorageStats


def test_sums() -> None:
    one = ChunkStorageStats(native_bytes=100, virtual_bytes=20, inlined_bytes=3)
    assert one.total_bytes() == 123
    assert one.non_virtual_bytes() == 103
    assert one + one == ChunkStorageStats(200, 40, 6)
    assert str(one).splitlines()[0] == "<frazil.stats.ChunkStorageStats>"
