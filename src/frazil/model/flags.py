"""Feature flags: switches that a repository carries, and what they guard."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from frazil.config import FeatureFlag
from frazil.errors import ErrorKind, InvalidInputError, SessionStateError
from frazil.format.repo_info import RepoInfo

MOVE_NODE: Final = 3
CREATE_TAG: Final = 4
DELETE_TAG: Final = 5
NAMES: Final = {MOVE_NODE: "move_node", CREATE_TAG: "create_tag", DELETE_TAG: "delete_tag"}
"""The flags that are known; all of them are on unless set. Others are kept, not shown."""


def flags_of(info: RepoInfo) -> list[FeatureFlag]:
    """All known flags with their settings."""
    return [
        FeatureFlag(id_, name, True, _setting(id_, info.enabled_flags, info.disabled_flags))
        for id_, name in NAMES.items()
    ]


def _setting(id_: int, enabled: Set[int], disabled: Set[int]) -> bool | None:
    return True if id_ in enabled else False if id_ in disabled else None


def flag_id(name: str) -> int:
    """The number of a flag; `InvalidInputError` (`invalid-feature-flag`) if it is not known."""
    for id_, known in NAMES.items():
        if known == name:
            return id_
    raise InvalidInputError(
        f"there is no feature flag {name!r}; known are {', '.join(NAMES.values())}",
        ErrorKind.INVALID_FEATURE_FLAG,
    )


def check_enabled(info: RepoInfo, id_: int) -> None:
    """Raise `SessionStateError` (`feature-flag-disabled`) if the flag is off."""
    if id_ in info.disabled_flags:
        raise SessionStateError(
            f"the feature flag {NAMES[id_]!r} of this repository is off: "
            "turn it on with set_feature_flag",
            ErrorKind.FEATURE_FLAG_DISABLED,
        )
