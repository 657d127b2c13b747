"""Which hooks run when, and what becomes of what they say.

Before: all run, those of this process first, then the stored ones by name, and if one of them
finds something or fails, `HookError` says so for all of them and nothing happens. After: what
fails is a warning, and the rest goes on; what has happened stays.

What is stored is known from the last look at the repository, so nothing is asked for. Every
repository has a runner, so what only hooks need is imported when there is one.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from frazil.engine.ref_changes import EventName, RefChange
from frazil.errors import HookError, IcechunkError

if TYPE_CHECKING:
    from frazil.engine.repository_core import RepositoryCore
    from frazil.findings import HookFinding
    from frazil.hooks.declared import Hook
    from frazil.hooks.event import Callback, Findings, HookEvent, When

logger = logging.getLogger(__name__)

KEY = "frazil.hooks"
"""The name of stored hooks in the repository's metadata."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A function of this process that is a hook."""

    when: When
    event: EventName
    function: Callback

    @property
    def name(self) -> str:
        """What the function is called."""
        return getattr(self.function, "__name__", None) or repr(self.function)


class HookRunner:
    """Runs the hooks of one `Repository` object; the engine asks it and tells it."""

    def __init__(self, core: RepositoryCore) -> None:
        self._core = core
        self.registered: list[Registered] = []
        self._parsed: tuple[object, list[Hook]] = (None, [])

    def cares(self, change: RefChange) -> bool:
        """Whether anything runs before it."""
        return bool(self._hooks("before", change))

    def before(self, change: RefChange) -> None:
        """Run what runs before; `HookError` if any of it refuses."""
        from frazil.hooks.event import HookEvent

        event = HookEvent(self._core, change, "before")
        findings, failure = self.findings(self._hooks("before", change), event)
        if findings:
            raise HookError(_what(change), findings) from failure

    def after(self, change: RefChange) -> None:
        """Run what runs after; what fails becomes a warning."""
        try:
            hooks = self._hooks("after", change)
        except IcechunkError as error:
            _warn(change, str(error))
            return
        if hooks:
            from frazil.hooks.event import HookEvent

            for finding in self.findings(hooks, HookEvent(self._core, change, "after"))[0]:
                _warn(change, str(finding))

    def findings(
        self, hooks: Iterable[Hook | Registered], event: HookEvent
    ) -> tuple[list[HookFinding], Exception | None]:
        """What hooks find; one that fails has found that. Also the first of these failures."""
        from frazil.findings import HookFinding

        found: list[HookFinding] = []
        first: Exception | None = None
        for hook in hooks:
            try:
                found += self._findings_of(hook, event)
            except Exception as error:
                logger.debug("hook %s failed", hook.name, exc_info=True)
                found.append(HookFinding(_said(error), hook=hook.name))
                first = first or error
        return found, first

    def _findings_of(self, hook: Hook | Registered, event: HookEvent) -> list[HookFinding]:
        if isinstance(hook, Registered):
            return _findings(hook.function(event), hook.name)
        from frazil.hooks.consent import VARIABLE, consent_to

        consent = consent_to(hook, event.repository)
        if consent == "skipped":
            logger.info("hook %s was skipped, as %s says", hook.name, VARIABLE)
            return []
        if consent == "missing":
            text = (
                f"it is a {hook.kind} that you did not allow: look at it with `frazil hooks list` "
                "or repo.hooks, then `frazil hooks allow` or repo.hooks.allow()"
            )
            return _findings(text, hook.name)
        return _findings(_run(hook, event), hook.name)

    def stored(self, metadata: Mapping[str, Any]) -> list[Hook]:
        """The hooks in a repository's metadata, read once as long as it stays the same."""
        documents = metadata.get(KEY)
        if documents is None:
            return []
        if self._parsed[0] is not documents:
            from frazil.hooks.declared import stored_hooks

            self._parsed = documents, stored_hooks(documents)
        return self._parsed[1]

    def _hooks(self, when: When, change: RefChange) -> list[Hook | Registered]:
        event = change.purpose.event
        own = [one for one in self.registered if (one.when, one.event) == (when, event)]
        stored = self.stored(self._core.catalog.known_metadata())
        return [*own, *(hook for hook in stored if hook.runs_on(event, change.ref, when))]


def _run(hook: Hook, event: HookEvent) -> Findings:
    if hook.validator is not None:
        from frazil.hooks.validators import validator_of

        return validator_of(hook.validator, hook.options)(event)
    if hook.command is not None:
        from frazil.hooks.commands import run_command

        return run_command(hook, event)
    from frazil.hooks.webhooks import call_webhook

    return call_webhook(hook, event)


def _findings(said: Findings, name: str) -> list[HookFinding]:
    from frazil.findings import HookFinding

    if said is None:
        return []
    if isinstance(said, (str, HookFinding)):
        said = [said]
    found = [HookFinding(one) if isinstance(one, str) else one for one in said]
    return [replace(one, hook=one.hook or name) for one in found]


def _said(error: Exception) -> str:
    text = str(error)
    own = isinstance(error, IcechunkError) and text
    return text if own else f"{type(error).__name__}: {text}" if text else type(error).__name__


def _what(change: RefChange) -> str:
    event, action = change.purpose.event, change.purpose.action
    if event == "commit":
        return f"{action} to branch {change.ref!r}"
    if event == "merge":
        return f"{action} into branch {change.ref!r}"
    return f"to {action} {event} {change.ref!r}"


def _warn(change: RefChange, text: str) -> None:
    said = f"{_what(change)} is done, but a hook failed after it: {text}"
    logger.info(said)
    warnings.warn(said, RuntimeWarning, stacklevel=2)
