"""Old copies of replaced objects go if that is asked for, but for what is still told from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import frazil
from frazil import Repository


def future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def backups(repo: Repository) -> set[str]:
    return {info.key for info in repo.storage.backend().list("overwritten")}


def log(repo: Repository) -> list[tuple[object, datetime]]:
    return [(update.kind, update.updated_at) for update in repo.ops_log()]


def build(storage: frazil.Storage, spec: int) -> Repository:
    config = frazil.RepositoryConfig(num_updates_per_repo_info_file=4)
    repo = Repository.create(storage, config, spec_version=spec)
    for number in range(6):
        repo = repo.reopen(
            frazil.RepositoryConfig(
                inline_chunk_threshold_bytes=number + 1, num_updates_per_repo_info_file=4
            )
        )
        repo.save_config()
        for name in ("x", "y"):
            repo.create_branch(name, repo.lookup_branch("main"))
            repo.delete_branch(name)
    return repo


@pytest.mark.parametrize("keep", [1, 9, 100])
def test_the_log_ends_where_copies_have_gone(storage: frazil.Storage, spec: int, keep: int) -> None:
    repo = build(storage, spec)
    before = backups(repo)
    operations = log(repo) if spec == 2 else []
    history = repo.config_history() if spec == 2 else []
    repo.storage.backend().put("overwritten/notes", b"mine")
    assert repo.garbage_collect(future()).backups_deleted == 0
    past = datetime.now(UTC) - timedelta(days=1)
    assert repo.garbage_collect(past, keep_backups=keep).backups_deleted == 0
    assert before <= backups(repo)
    done = repo.garbage_collect(future(), keep_backups=keep)
    left = backups(repo)
    assert "overwritten/notes" in left
    gone = before - left
    assert bool(gone) == (keep < len(before))
    assert ("backups_deleted" in str(done)) == bool(gone)
    # Newer ones, whose names come first, have been made since.
    assert not gone & set(sorted(before)[: max(keep - 3, 0)])
    if spec == 1:
        assert len(left) == min(keep, len(before)) + 1
        return
    for more in range(8):  # operations: each makes another copy the next piece of the log
        if more:
            repo.create_tag(f"t{more}", repo.lookup_branch("main"))
        now = [entry for entry in log(repo) if entry[1] <= operations[0][1]]
        assert now == operations[: len(now)]
        assert len(log(repo)) >= 8  # twice of what the repo object holds
        assert now == operations or keep < 100
        changes = repo.config_history()
        assert changes == history[: len(changes)]
        assert len(changes) == len(history) or keep < 100


def test_at_least_one_copy_stays(repo: Repository) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        repo.garbage_collect(future(), keep_backups=0)
