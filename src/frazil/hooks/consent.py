"""Which commands and webhooks this user lets run: a repository from elsewhere runs nothing.

Consent is for one hook of one repository, as it is now: whatever is changed in it needs new
consent. It is kept in `allowed-hooks.json` in the user's folder for settings, never in the
repository. Where nobody can be asked, `FRAZIL_HOOKS` decides:

    allow              everything that is stored with a repository may run
    skip               no command and no webhook runs
    sha256:…,sha256:…  these may run, and nothing else
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from frazil.errors import ErrorKind, InvalidInputError
from frazil.hooks.declared import Hook

VARIABLE = "FRAZIL_HOOKS"
Consent = Literal["allowed", "skipped", "missing"]


def consent_to(hook: Hook, place: str) -> Consent:
    """Whether a hook of the repository at a place may run."""
    if not hook.needs_consent:
        return "allowed"
    said = os.environ.get(VARIABLE, "").strip()
    if said == "skip":
        return "skipped"
    if said == "allow":
        return "allowed"
    if said:
        digests = {part.strip() for part in said.split(",")}
        if not all(digest.startswith("sha256:") for digest in digests):
            raise InvalidInputError(
                f"{VARIABLE} is allow, skip, or digests as frazil hooks list shows them, not "
                f"{said!r}",
                ErrorKind.INVALID_HOOK,
            )
        return "allowed" if hook.digest in digests else "missing"
    return "allowed" if hook.digest in allowed_digests(place) else "missing"


def allowed_digests(place: str) -> set[str]:
    """The digests of what may run of the repository at a place."""
    return set(_read().get(place, {}))


def set_allowed(place: str, hooks: Iterable[Hook]) -> None:
    """Let these hooks of the repository at a place run, and no others of it."""
    _write({**_read(), place: {hook.digest: hook.name for hook in hooks}})


def folder() -> Path:
    """Where the user's settings are: `FRAZIL_CONFIG_HOME`, or what the system says."""
    own = os.environ.get("FRAZIL_CONFIG_HOME")
    if own:
        return Path(own)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home()) / "frazil"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "frazil"


def _file() -> Path:
    return folder() / "allowed-hooks.json"


def _read() -> dict[str, dict[str, str]]:
    """Digests and names of hooks, by the repository's place; what is damaged allows nothing."""
    try:
        found = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {place: hooks for place, hooks in found.items() if isinstance(hooks, dict)}


def _write(allowed: dict[str, dict[str, str]]) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(allowed, indent=2, sort_keys=True), "utf-8")
    scratch.replace(file)
