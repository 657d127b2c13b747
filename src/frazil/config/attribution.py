"""Who makes the requests, and the feature flags of a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from frazil.display import Displayed, DisplayedAsCall, Shown, literal, record

_LIMIT = 128
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110, 5.6.2
_CLIENT = re.compile(rf"{_TOKEN}(?:/{_TOKEN})?")
_FORBIDDEN = re.compile(r"[^ -~]|[()\\;=\"]")


@dataclass(frozen=True, repr=False, slots=True, kw_only=True)
class Attribution(DisplayedAsCall):
    """What requests to a storage say about where they come from, in their User-Agent.

    client: a name or name/version; workload, principal: printable ASCII without `( ) \\ ; = "`.
    At most 128 bytes each, else ValueError.
    """

    client: str | None = None
    workload: str | None = None
    principal: str | None = None

    _public_name: ClassVar[str] = "frazil.Attribution"

    def __post_init__(self) -> None:
        for name in ("client", "workload", "principal"):
            value: str | None = getattr(self, name)
            if value is not None:
                _check(name, value)

    def _shown(self) -> Iterable[Shown]:
        return record(("client", "workload", "principal"), self)


def _check(name: str, value: str) -> None:
    if len(value.encode()) > _LIMIT:
        raise ValueError(f"attribution `{name}` is longer than {_LIMIT} bytes")
    if name == "client":
        if _CLIENT.fullmatch(value) is None:
            raise ValueError(
                "attribution `client` takes `name` or `name/version` in token characters, "
                f"not {literal(value)}"
            )
    elif found := _FORBIDDEN.search(value):
        raise ValueError(f"attribution `{name}` contains the forbidden character {found[0]!r}")


@dataclass(frozen=True, repr=False, slots=True)
class FeatureFlag(Displayed):
    """A switch of a repository: its default, and the explicit setting if there is one."""

    id: int
    name: str
    default_enabled: bool
    setting: bool | None = None

    _public_name: ClassVar[str] = "frazil.config.FeatureFlag"

    @property
    def enabled(self) -> bool:
        """Whether it is on."""
        return self.default_enabled if self.setting is None else self.setting

    def _shown(self) -> Iterable[Shown]:
        return record(("id", "name", "default_enabled", "setting", "enabled"), self)
