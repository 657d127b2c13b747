"""The configuration document as YAML: the `config.yaml` of spec 1.

    structures   maps with all their keys, null where unset, in a fixed order
    enums        tags: {"Axis": 0} is `!Axis 0`, {"or": [...]} a sequence tagged `!or`
    unit enums   plain strings, quoted where YAML would read something else

Reading resolves plain scalars by the YAML 1.2 core schema, as the reference implementation
does (`region: no` is the text "no"). It works on parser events, so that depth, size and
what aliases expand to are bounded before anything is built.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from yaml import events as ev
from yaml.emitter import Emitter

from frazil.errors import ErrorKind, FormatError

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 64
_MAX_VALUES = 100_000

_Layout = Mapping[str, Any]


def _keys(names: str) -> dict[str, None]:
    return dict.fromkeys(names.split())


_RETRIES = _keys("max_tries initial_backoff_ms max_backoff_ms")
_STORAGE: _Layout = {
    "concurrency": _keys("max_concurrent_requests_for_object ideal_concurrent_request_size"),
    "retries": _RETRIES,
    "timeouts": _keys(
        "connect_timeout_ms read_timeout_ms operation_timeout_ms operation_attempt_timeout_ms"
    ),
    **_keys(
        "unsafe_use_conditional_update unsafe_use_conditional_create unsafe_use_metadata"
        " storage_class metadata_storage_class chunks_storage_class"
        " minimum_size_for_multipart_upload"
    ),
}
_MANIFEST: _Layout = {
    "preload": _keys("max_total_refs preload_if max_arrays_to_scan"),
    "splitting": _keys("split_sizes"),
    "virtual_chunk_location_compression": _keys(
        "min_num_chunks dictionary_max_training_samples dictionary_max_size_bytes compression_level"
    ),
    "max_concurrent_manifest_fetches_during_commit": None,
}
_ANY = "*"
_CONFIG: _Layout = {
    "inline_chunk_threshold_bytes": None,
    "get_partial_values_concurrency": None,
    "compression": _keys("algorithm level"),
    "max_concurrent_requests": None,
    "max_concurrent_decodes": None,
    "caching": _keys(
        "num_snapshot_nodes num_chunk_refs num_transaction_changes num_bytes_attributes"
        " num_bytes_chunks"
    ),
    "storage": _STORAGE,
    "virtual_chunk_containers": {_ANY: _keys("name url_prefix store")},
    "manifest": _MANIFEST,
    "previous_file": None,
    "repo_update_retries": {"default": _RETRIES},
    "num_updates_per_repo_info_file": None,
    "packs": _keys("target_bytes max_chunk_bytes"),
}
_OWN_KEYS = {"packs"}
_ENUM_KEYS = {"store", "preload_if", "from", "to", "condition"}
_ENUM_LISTS = {"or", "and"}


def dump_config(document: Mapping[str, Any]) -> bytes:
    """The YAML text of a configuration document; missing keys are written as null."""
    out = io.StringIO()
    emitter = _Emitter(out, allow_unicode=True, width=sys.maxsize)
    for event in (
        ev.StreamStartEvent(),
        ev.DocumentStartEvent(explicit=False),
        *_events(_laid_out(document, _CONFIG), None, ()),
        ev.DocumentEndEvent(explicit=False),
        ev.StreamEndEvent(),
    ):
        emitter.emit(event)
    return out.getvalue().encode()


def _laid_out(value: object, layout: _Layout | None) -> Any:
    """`value` with exactly the keys of `layout`, in its order; those of Frazil only if set."""
    if layout is None or not isinstance(value, Mapping):
        return value
    if _ANY in layout:
        return {key: _laid_out(item, layout[_ANY]) for key, item in value.items()}
    return {
        key: _laid_out(value.get(key), inner)
        for key, inner in layout.items()
        if key in value or key not in _OWN_KEYS
    }


def _events(value: object, tag: str | None, path: tuple[str | int, ...]) -> Iterator[ev.Event]:
    """The events of `value`, which lies at `path`; the path tells where enums can be."""
    if tag is None and isinstance(value, Mapping) and len(value) == 1 and _is_enum(path):
        ((name, payload),) = value.items()
        yield from _events(payload, f"!{name}", (*path, name))
    elif isinstance(value, Mapping):
        yield ev.MappingStartEvent(None, tag, tag is None, flow_style=False)
        for key, item in value.items():
            yield from _events(key, None, ())
            yield from _events(item, None, (*path, key))
        yield ev.MappingEndEvent()
    elif isinstance(value, list | tuple):
        yield ev.SequenceStartEvent(None, tag, tag is None, flow_style=False)
        for i, item in enumerate(value):
            yield from _events(item, None, (*path, i))
        yield ev.SequenceEndEvent()
    elif isinstance(value, str):
        plain = isinstance(_resolve(value), str) and _is_old_text(value)
        style = None if plain else "'"
        yield ev.ScalarEvent(None, tag, (plain and not tag, not tag), value, style=style)
    else:
        text = "null" if value is None else str(value).lower()
        yield ev.ScalarEvent(None, tag, (not tag, False), text)


def _is_enum(path: tuple[str | int, ...]) -> bool:
    if not path:
        return False
    *parents, last = path
    if isinstance(last, str):
        return last in _ENUM_KEYS
    parent = parents[-1]
    in_condition = parent in _ENUM_LISTS
    in_split = len(parents) > 1 and parents[-2] == "split_sizes" and last == 0
    return in_condition or in_split


_STR = "tag:yaml.org,2002:str"
_old_schema: Any = yaml.resolver.Resolver()


def _is_old_text(text: str) -> bool:
    """Whether parsers of YAML 1.1 read `text` as a string, too."""
    return bool(_old_schema.resolve(yaml.ScalarNode, text, (True, False)) == _STR)


class _Emitter(Emitter):
    """Writes tagged scalars plain where they can be; PyYAML would quote them all."""

    def choose_scalar_style(self) -> Any:
        event: Any = self.event
        if event.tag and not event.style:
            if self.analysis is None:
                self.analysis = self.analyze_scalar(event.value)
            if self.analysis.allow_block_plain and not self.analysis.multiline:
                return ""
        return super().choose_scalar_style()


def load_config(data: bytes, *, where: str) -> dict[str, Any]:
    """The configuration document in YAML text; `FormatError` if it is not one.

    An empty file is an empty document. Keys and types are not checked here.
    """
    if len(data) > _MAX_BYTES:
        raise _unreadable(where, f"it has {len(data)} bytes; the limit is {_MAX_BYTES}")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = _Composer(iter(yaml.parse(data.decode(), Loader=loader)), where).document()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unreadable(where, " ".join(str(error).split())) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _unreadable(where, "its top level is not a map")
    manifest = document.get("manifest")
    preload = manifest.get("preload") if isinstance(manifest, dict) else None
    if isinstance(preload, dict) and "preload_if" in preload:
        preload["preload_if"] = _quoted_bools(preload["preload_if"])
    return document


def _quoted_bools(condition: object) -> Any:
    """Preload conditions may be written `true` or `"true"`; the document has the text."""
    if isinstance(condition, bool):
        return str(condition).lower()
    if isinstance(condition, dict):
        return {name: _quoted_bools(value) for name, value in condition.items()}
    if isinstance(condition, list):
        return [_quoted_bools(item) for item in condition]
    return condition


class _Composer:
    """Builds plain values from parser events."""

    def __init__(self, source: Iterator[Any], where: str) -> None:
        self.source = source
        self.where = where
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0

    def document(self) -> Any:
        next(self.source)
        if isinstance(next(self.source), ev.StreamEndEvent):
            return None
        value = self.value(next(self.source), 0)
        next(self.source)
        if not isinstance(next(self.source), ev.StreamEndEvent):
            raise _unreadable(self.where, "it has more than one document")
        return value

    def value(self, event: Any, depth: int) -> Any:
        if isinstance(event, ev.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.error(event, f"the alias *{event.anchor} has no complete anchor")
            value, size = self.anchors[event.anchor]
            self.grow(event, size)
            return value
        before = self.count
        self.grow(event, 1)
        if depth == _MAX_DEPTH:
            raise self.error(event, f"nested deeper than {_MAX_DEPTH} levels")
        if isinstance(event, ev.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, ev.SequenceStartEvent):
            value = []
            while not isinstance(inner := next(self.source), ev.SequenceEndEvent):
                value.append(self.value(inner, depth + 1))
        else:
            value = self.mapping(depth)
        tag = event.tag
        if tag and tag.startswith("!") and tag != "!":
            value = tag[1:] if value is None else {tag[1:]: value}
        if event.anchor:
            self.anchors[event.anchor] = value, self.count - before
        return value

    def mapping(self, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self.source), ev.MappingEndEvent):
            if not isinstance(event, ev.ScalarEvent):
                raise self.error(event, "keys must be plain text")
            if event.value in items:
                raise self.error(event, f"the key {event.value!r} appears twice")
            self.grow(event, 1)
            items[event.value] = self.value(next(self.source), depth + 1)
        return items

    def grow(self, event: Any, amount: int) -> None:
        self.count += amount
        if self.count > _MAX_VALUES:
            raise self.error(event, f"more than {_MAX_VALUES} values")

    def error(self, event: Any, problem: str) -> FormatError:
        line = event.start_mark.line + 1
        return _unreadable(self.where, f"line {line}: {problem}")


_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,19})|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,22}|0b[01]{1,64}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}


def _scalar(event: Any) -> Any:
    plain = event.style in (None, "") and event.tag not in ("!", _STR)
    return _resolve(event.value) if plain else event.value


def _resolve(text: str) -> Any:
    """The value of a plain scalar in the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if text.lstrip("+-").isdecimal() else int(text, 0)
    if _FLOAT.fullmatch(text) and not (text.startswith("0") and text.isdecimal()):
        return float(text)
    return text


def _unreadable(where: str, problem: str) -> FormatError:
    return FormatError(
        f"{where}: the configuration cannot be read: {problem}", ErrorKind.CONFIG_DESERIALIZATION
    )
