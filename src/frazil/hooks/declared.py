"""Hooks that are stored with a repository.

They are JSON in its metadata, by name, which Icechunk keeps and does not look at:

    {"frazil.hooks": {"units": {"validator": "cf", "when": "before", "on": ["commit", "merge"]}}}
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal, cast, get_args
from urllib.parse import urlsplit

from frazil.display import Displayed, Shown, record
from frazil.engine.ref_changes import EventName
from frazil.errors import ErrorKind, FormatError, InvalidInputError
from frazil.hooks.event import When
from frazil.hooks.validators import validator_of

Kind = Literal["validator", "command", "webhook"]

_SECONDS: dict[str, float] = {"validator": 0, "command": 60, "webhook": 10}
_LONGEST = 3600
_MOST_RETRIES = 10


@dataclass(frozen=True, repr=False, kw_only=True)
class Hook(Displayed):
    """A hook that is stored with a repository: exactly one of validator, command and webhook.

    validator: "schema", "missing-values" or "cf"; `options` are the arguments of the function
    of this name in `frazil.hooks`. command: a program and its arguments, without a shell; what
    happens is told to it as JSON on standard input. webhook: an http or https URL that is sent
    the same JSON.

    when: "before", where a hook can refuse, or "after"; validators and commands run before and
    webhooks after unless given. on: "commit", "merge", "tag", "branch"; commits and merges unless
    given. refs: patterns such as "release-*" of the branches or tags. timeout: in seconds, 60
    for commands, 10 for each try of a webhook. retries: of a webhook that cannot be reached.

    `InvalidInputError` (`invalid-hook`) for what cannot be.
    """

    name: str
    validator: str | None = None
    command: tuple[str, ...] | None = None
    webhook: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    when: When | None = None
    on: tuple[EventName, ...] = ("commit", "merge")
    refs: tuple[str, ...] = ("*",)
    timeout: float | None = None
    retries: int = 2

    _public_name: ClassVar[str] = "frazil.hooks.Hook"

    def __post_init__(self) -> None:
        given = [name for name in get_args(Kind) if getattr(self, name) is not None]
        self._require(_is_name(self.name), "the name is a short text of one line")
        self._require(len(given) == 1, "give exactly one of validator, command and webhook")
        for name in ("command", "on", "refs"):
            value = getattr(self, name)
            if value is not None:
                texts = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
                self._require(texts and bool(value), f"{name} is a list of texts, not empty")
                object.__setattr__(self, name, tuple(value))
        if self.when is None:
            object.__setattr__(self, "when", "after" if self.kind == "webhook" else "before")
        if self.timeout is None:
            object.__setattr__(self, "timeout", _SECONDS[self.kind])
        self._require(self.when in get_args(When), 'when is "before" or "after"')
        known = get_args(EventName)
        self._require(set(self.on) <= set(known), f"on takes {', '.join(known)}")
        self._require(
            _is_number(self.timeout) and 0 <= cast(float, self.timeout) <= _LONGEST,
            f"timeout is in seconds, up to {_LONGEST}",
        )
        self._require(
            _is_number(self.retries) and 0 <= self.retries <= _MOST_RETRIES,
            f"retries is a number up to {_MOST_RETRIES}",
        )
        self._require(isinstance(self.options, Mapping), "options are a mapping")
        if self.webhook is not None:
            self._require(_is_web(self.webhook), "webhook is an http or https URL")
        if self.validator is None:
            self._require(not self.options, "options are for validators")
        else:
            self._require(isinstance(self.validator, str), "validator is a name")
            validator_of(self.validator, self.options)

    def __hash__(self) -> int:
        return hash((self.name, self.digest))

    @property
    def kind(self) -> Kind:
        """Which of "validator", "command" and "webhook" it is."""
        return next(name for name in get_args(Kind) if getattr(self, name) is not None)

    @property
    def needs_consent(self) -> bool:
        """Whether it does more than read, so that it runs only where it was allowed."""
        return self.kind != "validator"

    @property
    def digest(self) -> str:
        """Of all that the hook says: consent is for this."""
        text = json.dumps([self.name, self.to_dict()], sort_keys=True)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def runs_on(self, event: EventName, ref: str, when: When) -> bool:
        """Whether this is its event."""
        return (
            when == self.when
            and event in self.on
            and any(fnmatchcase(ref, pattern) for pattern in self.refs)
        )

    @property
    def does(self) -> str:
        """In a line: `validator cf`, `command python check.py`, `webhook https://...`."""
        said = self.validator or self.webhook or shlex.join(self.command or ())
        options = f" {json.dumps(dict(self.options), sort_keys=True)}" if self.options else ""
        return f"{self.kind} {said}{options}"

    def to_dict(self) -> dict[str, Any]:
        """As it is stored, under its name."""
        value = getattr(self, self.kind)
        found = {
            self.kind: list(value) if isinstance(value, tuple) else value,
            "when": self.when,
            "on": list(self.on),
            "refs": list(self.refs),
        }
        if self.kind != "validator":
            found["timeout"] = self.timeout
        if self.kind == "webhook":
            found["retries"] = self.retries
        if self.options:
            found["options"] = dict(self.options)
        return found

    def _shown(self) -> Iterable[Shown]:
        names = ["name", self.kind, *(["options"] if self.options else []), "when", "on", "refs"]
        return record(names, self)

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise InvalidInputError(f"hook {self.name!r}: {what}", ErrorKind.INVALID_HOOK)


def stored_hooks(documents: object) -> list[Hook]:
    """The hooks that are stored, by name; `FormatError` if they cannot be understood.

    A hook that is not understood is not left out: a check that others rely on would be too.
    """
    if not isinstance(documents, Mapping):
        raise _not_understood("they are no mapping")
    return [_stored(name, documents[name]) for name in sorted(documents)]


def _stored(name: str, document: object) -> Hook:
    try:
        if not isinstance(document, Mapping):
            raise TypeError("it is no mapping")
        return Hook(name=name, **document)
    except (TypeError, InvalidInputError) as error:
        raise _not_understood(f"{name!r}: {error}") from None


def _not_understood(why: str) -> FormatError:
    return FormatError(
        f"the hooks that are stored with this repository cannot be understood, {why}: "
        "update Frazil, or remove them with repo.hooks.remove",
        ErrorKind.INVALID_HOOK,
    )


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= 100 and text.isprintable()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_web(text: object) -> bool:
    if not isinstance(text, str) or not text.isprintable():
        return False
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
