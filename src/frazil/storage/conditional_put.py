"""Puts under a condition, whose outcome is known even if the answer to the first try is not.

A connection that breaks leaves open whether a put was made. It is sent again, and if its
condition does not hold any more, because of somebody else or because of the first try, the
object is looked at: each put leaves a random id in the metadata of the object. Where there is
no metadata, the content tells.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from frazil.storage import client_errors
from frazil.storage.connections import Client
from frazil.storage.retry import Attempts, Patience

if TYPE_CHECKING:
    from obstore import PutMode

WRITE_ID = "icechunkwriteid"
"""As Icechunk names it."""

Mode: TypeAlias = "Literal['create'] | dict[str, str]"
"""Only where there is nothing, or only over what has these tags: as `obstore` spells it."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ConditionalPut:
    """One put of `data` to `path`, by a client that never repeats a request by itself.

    reader: the client to look with. with_id: whether objects may
    have metadata.
    """

    writer: Client
    reader: Client
    path: str
    data: bytes
    mode: Mode
    attributes: Mapping[str, str]
    with_id: bool
    patience: Patience
    write_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.write_id = str(uuid.uuid4())

    def send(self, again: Callable[[], Mode | None] | None = None) -> Mapping[str, Any]:
        """Make the put; its `e_tag` and `version`.

        Raises the client's error, one for which `is_refused` holds if the condition does not.
        again: called once when it does not; returns another spelling of it to try, or None.
        """
        in_doubt = False
        attempts = Attempts(self.patience)
        while True:
            try:
                return self._put()
            except Exception as error:
                failure = error
            if client_errors.is_passing(failure):
                in_doubt = in_doubt or client_errors.is_in_doubt(failure)
                _log.info("a write is tried again: %s", client_errors.text_of(failure))
                if attempts.another():
                    continue
            elif not in_doubt and again is not None and client_errors.is_refused(failure):
                other, again = again(), None
                if other is not None:
                    self.mode = other
                    continue
            made = self._found() if in_doubt else None
            if made is not None:
                _log.info("a write whose answer was lost had been made: %s", self.path)
                return made
            raise failure

    def _put(self) -> Mapping[str, Any]:
        attributes = dict(self.attributes)
        if self.with_id:
            attributes[WRITE_ID] = self.write_id
        mode = cast("PutMode", self.mode)
        made: Mapping[str, Any] = self.writer.put(
            self.path, self.data, mode=mode, attributes=attributes, use_multipart=False
        )
        return made

    def _found(self) -> Mapping[str, Any] | None:
        """The version of the object if it is what this put was to store, else None.

        Raises the client's error if that cannot be found out.
        """
        attempts = Attempts(self.patience)
        while True:
            try:
                found = self.reader.get(self.path)
                there = found.attributes.get(WRITE_ID)
                data = b"" if there is not None else bytes(found.bytes())
            except FileNotFoundError:
                return None
            except Exception as error:
                if not (client_errors.is_passing(error) and attempts.another()):
                    raise
                continue
            ours = data == self.data if there is None else there == self.write_id
            meta: Mapping[str, Any] = found.meta
            return meta if ours else None
