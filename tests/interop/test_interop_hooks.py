"""Stored hooks in a repository that both libraries work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from frazil import HookError
from frazil.hooks import Hook
from tests.interop.libraries import FRAZIL, REAL, needs_spec_2
from tests.interop.place import Place


@needs_spec_2
def test_icechunk_keeps_hooks_and_does_not_run_them(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAZIL_CONFIG_HOME", str(tmp_path / "settings"))
    ours = place.create(FRAZIL, 2)
    hooks = [
        Hook(name="rules", validator="schema", options={"arrays": {"a": {"shape": [None, 3]}}}),
        Hook(name="chat", webhook="https://chat.example/", on=["tag"], timeout=1.5),
    ]
    for hook in hooks:
        ours.hooks.add(hook)
    theirs = place.open(REAL)
    tip = theirs.lookup_branch("main")
    theirs.create_branch("dev", tip)
    theirs.create_tag("v1", tip)
    session = theirs.writable_session("main")
    session.commit("empty", allow_empty=True)
    config = theirs.config
    config.inline_chunk_threshold_bytes = 7
    theirs.reopen(config).save_config()
    theirs.update_metadata({"title": "x"})
    assert theirs.get_metadata()["frazil.hooks"]["chat"]["timeout"] == 1.5
    again = place.open(FRAZIL)
    assert sorted(again.hooks, key=lambda hook: hook.name) == hooks[::-1]
    changed = again.writable_session("main")
    changed["b"] = [1]
    with pytest.raises(HookError, match="rules: /a: the array is missing"):
        changed.commit("x")
