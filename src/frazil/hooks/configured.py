"""`repo.hooks`: the hooks of a repository and of this process."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from frazil.display import Displayed, Shown
from frazil.engine.ref_changes import EventName, Purpose, RefChange
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ErrorKind, InvalidInputError
from frazil.findings import HookFinding
from frazil.hooks import consent
from frazil.hooks.declared import Hook
from frazil.hooks.event import Callback, HookEvent, When
from frazil.hooks.runner import KEY, HookRunner, Registered
from frazil.library.catalog import needs_spec_2
from frazil.library.catalog_v2 import CatalogV2
from frazil.model.refs import change_metadata
from frazil.storage.api import place_of
from frazil.twins import twin

F = TypeVar("F", bound=Callback)


class RepositoryHooks(Displayed):
    """What runs around commits, merges, and changes of tags and branches: `repo.hooks`.

        @repo.hooks.before_commit
        def no_empty_message(event):
            if not event.message.strip():
                return "say what you did"

        repo.hooks.add(frazil.hooks.Hook(name="units", validator="cf"))
        list(repo.hooks)

    Functions are called in this process, for what is done through this `Repository` object and
    its sessions. Stored hooks run for everybody who uses Frazil; Icechunk does not run them.
    Iterating gives the stored ones, by name.
    """

    _public_name = "frazil.hooks.RepositoryHooks"

    def __init__(self, core: RepositoryCore, runner: HookRunner) -> None:
        self._core = core
        self._runner = runner

    def __iter__(self) -> Iterator[Hook]:
        return iter(self.stored())

    def __len__(self) -> int:
        return len(self.stored())

    def stored(self) -> list[Hook]:
        """The hooks that are stored with the repository, by name; none in spec 1."""
        catalog = self._core.catalog
        if not isinstance(catalog, CatalogV2):
            return []
        return self._runner.stored(catalog.info().metadata)

    stored_async = twin(stored)

    @property
    def functions(self) -> list[tuple[When, EventName, str]]:
        """The functions of this process: when, on which event, and their names."""
        return [(one.when, one.event, one.name) for one in self._runner.registered]

    def add(self, hook: Hook) -> None:
        """Store a hook with the repository, in the place of one of its name; spec 2 only.

        A command or webhook runs for nobody yet, see `allow`. Raises `FormatError` in a spec 1
        repository.
        """
        self._change(lambda documents: {**documents, hook.name: hook.to_dict()})

    add_async = twin(add)

    def remove(self, hook: str | Callback) -> None:
        """Remove a stored hook by its name, or a function from those that are called.

        Raises `InvalidInputError` (`invalid-hook`) if there is none.
        """
        if not isinstance(hook, str):
            left = [one for one in self._runner.registered if one.function != hook]
            if len(left) == len(self._runner.registered):
                raise _unknown(repr(hook))
            self._runner.registered[:] = left
            return

        def without(documents: dict[str, Any]) -> dict[str, Any]:
            if hook not in documents:
                raise _unknown(repr(hook))
            return {name: one for name, one in documents.items() if name != hook}

        self._change(without)

    remove_async = twin(remove)

    def allow(self, *hooks: str | Hook) -> list[Hook]:
        """Let stored commands and webhooks run for this user, as they are now; returns them.

        hooks: all of them unless given: by name, or as they were looked at, which is refused
        (`InvalidInputError`, `invalid-hook`) if they are not stored like that any more. Without
        this, and again once they are changed, those that run before something refuse it, and those
        that run after it are left out with a warning. The consent is for this place and kept in
        the user's settings, see `frazil.hooks.consent`.
        """
        stored, place = self.stored(), self._place
        for given in hooks:
            if not any(given in (hook, hook.name) for hook in stored):
                raise _unknown(
                    repr(given) if isinstance(given, str) else f"{given.name!r} like that"
                )
        chosen = [
            hook
            for hook in stored
            if hook.needs_consent and (not hooks or hook in hooks or hook.name in hooks)
        ]
        before = consent.allowed_digests(place)
        consent.set_allowed(place, [h for h in stored if h in chosen or h.digest in before])
        return chosen

    allow_async = twin(allow)

    def is_allowed(self, hook: Hook) -> bool:
        """Whether the hook runs for this user; validators always do."""
        return consent.consent_to(hook, self._place) == "allowed"

    def run(
        self,
        *names: str,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
    ) -> list[HookFinding]:
        """What hooks find in a version as it is, `main` unless given: nothing if all is well.

        names: of stored hooks; unless given, the functions and stored hooks that run before
        commits. They are told of an event "commit" with the action "check".
        """
        if branch is None and tag is None and snapshot_id is None:
            branch = "main"
        id_ = self._core.resolve(branch, tag, snapshot_id)
        known = {hook.name: hook for hook in self.stored()}
        hooks: list[Hook | Registered]
        if names:
            for name in names:
                if name not in known:
                    raise _unknown(repr(name))
            hooks = [known[name] for name in names]
        else:
            own = [r for r in self._runner.registered if (r.when, r.event) == ("before", "commit")]
            hooks = [*own, *(h for h in known.values() if h.when == "before" and "commit" in h.on)]
        ref = branch or tag or str(id_)
        change = RefChange(Purpose("commit", "check"), ref, None, id_, id_)
        return self._runner.findings(hooks, HookEvent(self._core, change, "before"))[0]

    run_async = twin(run)

    def before_commit(self, function: F) -> F:
        """Call a function before commits, amended, picked, reverted and squashed ones included.

        It is given a `HookEvent`. What it returns, a text, a `HookFinding` or several of them, or
        what it raises refuses the commit. It is called again if the commit has to be rebased,
        as the tree is another one then. For use as a decorator, as all of these methods.
        """
        return self._register("before", "commit", function)

    def after_commit(self, function: F) -> F:
        """Call a function after commits; what it raises or returns becomes a warning."""
        return self._register("after", "commit", function)

    def before_merge(self, function: F) -> F:
        """Call a function before merges; it may refuse, as in `before_commit`."""
        return self._register("before", "merge", function)

    def after_merge(self, function: F) -> F:
        """Call a function after merges, as in `after_commit`."""
        return self._register("after", "merge", function)

    def before_tag(self, function: F) -> F:
        """Call a function before tags are made or deleted; it may refuse."""
        return self._register("before", "tag", function)

    def after_tag(self, function: F) -> F:
        """Call a function after tags were made or deleted."""
        return self._register("after", "tag", function)

    def before_branch(self, function: F) -> F:
        """Call a function before branches are made, deleted or reset; it may refuse."""
        return self._register("before", "branch", function)

    def after_branch(self, function: F) -> F:
        """Call a function after branches were made, deleted or reset."""
        return self._register("after", "branch", function)

    @property
    def _place(self) -> str:
        return place_of(self._core.storage)

    def _register(self, when: When, event: EventName, function: F) -> F:
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise TypeError(f"a hook is an ordinary function, not {function!r}")
        self._runner.registered.append(Registered(when, event, function))
        return function

    def _change(self, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        catalog = self._core.catalog
        if not isinstance(catalog, CatalogV2):
            raise needs_spec_2("storing hooks")

        def change(metadata: dict[str, Any]) -> dict[str, Any]:
            documents = metadata.get(KEY)
            found = edit(documents if isinstance(documents, dict) else {})
            others = {name: value for name, value in metadata.items() if name != KEY}
            return {**others, KEY: found} if found else others

        catalog.update(change_metadata(change))

    def _shown(self) -> Iterable[Shown]:
        stored = [Shown(hook.name, hook.does) for hook in self.stored()]
        functions = [Shown(f"{when}_{event}", name) for when, event, name in self.functions]
        return [*stored, *functions]


def _unknown(what: str) -> InvalidInputError:
    return InvalidInputError(f"there is no hook {what}", ErrorKind.INVALID_HOOK)
