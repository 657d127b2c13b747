"""Where the state of a repository comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from frazil.format.history import SnapshotRecord, described
from frazil.ids import SnapshotId
from frazil.paths import check_path
from frazil.repository.base import RepositoryBase
from frazil.session import Session
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.blaming import Bisection, Blame
    from frazil.snapshots import SnapshotInfo


class Tracing(RepositoryBase):
    """Which commit wrote what, and which broke something."""

    def blame(
        self,
        path: str,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
        region: Sequence[slice] | None = None,
    ) -> Blame:
        """Which commit last wrote each chunk of an array of a version, `main` unless given.

            blame = repo.blame("/t2m", region=[slice(0, 30)])
            print(blame.commit_of((0, 0, 0)).message)

        region: a slice of elements for each of the first dimensions. Merges count as writers of
        what they brought in. Reads transaction logs from the newest commit on, as far as needed.
        Raises `NodeNotFoundError`, and `InvalidInputError` for groups and regions that do not fit.
        """
        from frazil.blaming import Blame
        from frazil.engine.blame import blame

        if branch is None and tag is None and snapshot_id is None:
            branch = "main"
        core = self._core
        workspace = core.session(core.resolve(branch, tag, snapshot_id)).workspace
        node = workspace.array(check_path("/" + path.strip("/")))
        chunks, seen, ledger = blame(core.library, core.catalog, workspace, node, region)
        known, places = np.unique(ledger.written_by, return_inverse=True)
        writers = known[known >= 0]
        rows = places.astype(np.int32) - (len(known) - len(writers))
        return Blame(node.path, chunks, rows, tuple(_info(seen[i]) for i in writers.tolist()))

    blame_async = twin(blame)

    def bisect(
        self,
        is_good: Callable[[Session], bool | None],
        *,
        good: str,
        bad: str,
    ) -> Bisection:
        """Find the commit with which a check began to fail.

            found = repo.bisect(lambda tree: "rain" in tree, bad=old_id, good=older_id)
            print(found.suspects[0].message)

        is_good: is given a read-only session and says whether that version is good, None if it
        cannot be judged. good, bad: ids of snapshots, the first an ancestor of the second; they
        are not checked again. Looks at about log2 of the commits between them, along first
        parents. What the check raises is passed on. `InvalidInputError` if they are not in line.
        """
        from frazil.blaming import Bisection
        from frazil.engine.blame import bisect

        judged: list[tuple[SnapshotInfo, bool | None]] = []
        core = self._core

        def judge(record: SnapshotRecord) -> bool | None:
            verdict = is_good(Session((core, core.session(record.id))))
            judged.append((_info(record), verdict))
            return verdict

        ends = SnapshotId.parse(good), SnapshotId.parse(bad)
        suspects = bisect(core.catalog, *ends, judge)
        return Bisection(tuple(map(_info, suspects)), tuple(judged))

    bisect_async = twin(bisect)


def _info(record: SnapshotRecord) -> SnapshotInfo:
    from frazil.snapshots import SnapshotInfo

    return SnapshotInfo.described(described(record))
