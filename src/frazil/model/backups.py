"""Which copies of replaced objects, in the folder `overwritten`, a retention lets go."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

_NAME = re.compile(r"(repo|config\.yaml)\.[0-9]{14}\.[0-9A-Z]{20}")


def removable(names: Iterable[str], *, keep: int, needed: Collection[str | None]) -> list[str]:
    """Those beyond the newest `keep` of the repo object and of the configuration each.

    needed: names that stay whatever their age. Names of another form stay too.
    """
    stems: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None:
            stems[match[1]].append(name)
    # The time in a name counts down to the year 3000: the newest comes first.
    beyond = [name for each in stems.values() for name in sorted(each)[keep:]]
    return [name for name in beyond if name not in needed]
