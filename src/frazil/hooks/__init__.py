"""Hooks: what runs before and after commits, merges, and changes of tags and branches.

    event.py        what a hook is given, and what it says
    declared.py     hooks that are stored with a repository: validators, commands, webhooks
    configured.py   `repo.hooks`: to add, remove, allow and run them
    runner.py       which run when, and what becomes of what they say
    consent.py      which commands and webhooks of which repository this user allows
    commands.py     one command
    webhooks.py     one request
    validators/     checks that need no consent, because they only read

A new validator is a function in `validators/`, and a line there that names it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frazil.findings import HookFinding
    from frazil.hooks.configured import RepositoryHooks
    from frazil.hooks.declared import Hook
    from frazil.hooks.event import HookEvent
    from frazil.hooks.validators.conventions import cf
    from frazil.hooks.validators.missing import missing_values
    from frazil.hooks.validators.schema import schema

__all__ = [
    "Hook",
    "HookEvent",
    "HookFinding",
    "RepositoryHooks",
    "cf",
    "missing_values",
    "schema",
]

_MODULES = {
    "Hook": "frazil.hooks.declared",
    "HookEvent": "frazil.hooks.event",
    "HookFinding": "frazil.findings",
    "RepositoryHooks": "frazil.hooks.configured",
    "cf": "frazil.hooks.validators.conventions",
    "missing_values": "frazil.hooks.validators.missing",
    "schema": "frazil.hooks.validators.schema",
}


def __getattr__(name: str) -> Any:
    # Every repository knows of this package, and few have hooks.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
