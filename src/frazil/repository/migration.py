"""From format 1 to format 2."""

from __future__ import annotations

from typing import Any, NoReturn

from frazil.engine.census import check_positive
from frazil.engine.migrate import migrate
from frazil.repository import Repository


def upgrade_icechunk_repository(
    repo: Repository,
    *,
    dry_run: bool,
    delete_unused_v1_files: bool = True,
    prefetch_concurrency: int | None = None,
) -> Repository:
    """Migrate a spec 1 repository to spec 2; returns it as it is then.

    Nobody may write to it meanwhile, and programs that know only spec 1 cannot use it any
    more. Snapshots that no branch or tag leads to are not carried over. `repo` itself raises
    `RuntimeError` from then on.

    dry_run: do everything but write. delete_unused_v1_files: remove the references and the
    configuration of spec 1, which are not read any more. prefetch_concurrency: snapshots that
    are read at once, 64 by default.

    Raises `SessionStateError` (`invalid-repository-migration`) if the repository is not spec 1.
    """
    check_positive("prefetch concurrency", prefetch_concurrency)
    core = migrate(
        repo._core,
        dry_run=dry_run,
        delete_v1_files=delete_unused_v1_files,
        prefetch=prefetch_concurrency,
    )
    if not dry_run:
        repo._core = _Invalidated()  # type: ignore[assignment]
    return Repository(core)


class _Invalidated:
    """What is behind a repository that must not be used any more."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(_TEXT)

    def __reduce__(self) -> Any:
        raise RuntimeError(_TEXT)


_TEXT = (
    "this Repository was migrated by upgrade_icechunk_repository and cannot be used any more: "
    "use the one that was returned"
)
