"""FlexBuffers: the encoding of metadata values and of the configuration in spec 2 files.

    buffer  = blobs and vectors, each after everything it refers to
              root value (root width bytes), root type byte, root width byte
    type    = kind << 2 | width, width 0..3 for 1, 2, 4, 8 bytes
    string  = size (width bytes), UTF-8 bytes, NUL; its address is that of the bytes
    key     = UTF-8 bytes, NUL
    vector  = size, n values, n type bytes        untyped
              size, n values                      all of one kind of number, or of bools
              n values                            two, three or four numbers of one kind
    map     = offset of the sorted keys' vector, its width, then an untyped vector

An offset is unsigned and counts backwards from where it is stored. A value that does not
fit its slot's width is stored before and referred to by offset. Vectors take the smallest
width that holds all their values. Equal keys are stored once; nothing else is shared.
(https://flatbuffers.dev/internals/#flexbuffers and the bytes that Icechunk writes.)
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

from frazil.errors import ErrorKind, FormatError
from frazil.format.jsonvalue import MAX_DEPTH, normalize

_NULL, _INT, _UINT, _FLOAT, _KEY, _STRING = range(6)
_INDIRECT = {6: _INT, 7: _UINT, 8: _FLOAT}
_MAP, _VECTOR = 9, 10
_TYPED = {11: _INT, 12: _UINT, 13: _FLOAT, 14: _KEY, 15: _STRING, 36: 26}
_BOOL, _BOOL_VECTOR, _KEY_VECTOR = 26, 36, 14
_FIXED = {16 + 3 * (n - 2) + k: (n, _INT + k) for n in (2, 3, 4) for k in range(3)}
_FIXED_TYPE = {shape: kind for kind, shape in _FIXED.items()}


class _Value(NamedTuple):
    """A value that waits for its slot: a number, or the address of what is already stored."""

    content: int | float
    kind: int
    width: int  # log2 of the bytes it needs; of an address: the width of its target
    inline: bool


def encode(value: object) -> bytes:
    """The bytes of one JSON value; `InvalidInputError` if it is none."""
    return _Writer().finish(normalize(value))


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray()
        self.keys: dict[str, int] = {}

    def finish(self, value: object) -> bytes:
        root = self.add(value)
        width = self.slot_width(root, 0)
        self.align(width)
        self.put(root, width)
        self.out += bytes((root.kind << 2 | root.width, 1 << width))
        return bytes(self.out)

    def add(self, value: Any) -> _Value:
        """Store what `value` refers to, and describe the slot that it needs."""
        if value is None:
            return _Value(0, _NULL, 0, True)
        if isinstance(value, bool):
            return _Value(int(value), _BOOL, 0, True)
        if isinstance(value, int):
            return _integer(value)
        if isinstance(value, float):
            return _Value(value, _FLOAT, 2 if _is_single(value) else 3, True)
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, dict):
            return self.map(value)
        return self.vector([self.add(item) for item in value])

    def string(self, text: str) -> _Value:
        raw = text.encode()
        width = _unsigned_width(len(raw))
        self.align(width)
        self.out += len(raw).to_bytes(1 << width, "little")
        address = len(self.out)
        self.out += raw + b"\0"
        return _Value(address, _STRING, width, False)

    def key(self, text: str) -> _Value:
        address = self.keys.get(text)
        if address is None:
            address = self.keys[text] = len(self.out)
            self.out += text.encode() + b"\0"
        return _Value(address, _KEY, 0, False)

    def map(self, items: dict[str, Any]) -> _Value:
        keys, values = [], []
        for key, value in items.items():
            keys.append(self.key(key))
            values.append(self.add(value))
        return self.vector(values, keys=self.store(keys, _KEY_VECTOR))

    def vector(self, items: list[_Value], keys: _Value | None = None) -> _Value:
        if keys is not None:
            return self.store(items, _MAP, keys)
        kinds = {item.kind for item in items}
        if kinds == {_BOOL}:
            return self.store(items, _BOOL_VECTOR)
        if len(kinds) == 1 and (kind := items[0].kind) in (_INT, _UINT, _FLOAT):
            return self.store(items, _FIXED_TYPE.get((len(items), kind), kind + 10))
        return self.store(items, _VECTOR)

    def store(self, items: list[_Value], kind: int, keys: _Value | None = None) -> _Value:
        prefix = [] if keys is None else [keys, _Value(1 << keys.width, _UINT, 0, True)]
        if kind not in _FIXED:
            prefix.append(_integer(len(items)))
        slots = prefix + items
        width = max(self.slot_width(slot, i) for i, slot in enumerate(slots))
        self.align(width)
        for slot in prefix:
            self.put(slot, width)
        address = len(self.out)
        for item in items:
            self.put(item, width)
        if kind in (_VECTOR, _MAP):
            for item in items:
                stored = max(item.width, width) if item.inline else item.width
                self.out.append(item.kind << 2 | stored)
        return _Value(address, kind, width, False)

    def slot_width(self, value: _Value, index: int) -> int:
        """The width that `value` needs as the `index`-th slot of what is stored next."""
        if value.inline:
            return value.width
        for width in range(3):
            start = len(self.out) + (-len(self.out) & (1 << width) - 1)
            if _unsigned_width(start + (index << width) - int(value.content)) <= width:
                return width
        return 3

    def put(self, value: _Value, width: int) -> None:
        content = value.content
        if value.kind == _FLOAT:
            self.out += struct.pack("<f" if width == 2 else "<d", content)
        elif value.inline:
            self.out += int(content).to_bytes(1 << width, "little", signed=content < 0)
        else:
            self.out += (len(self.out) - int(content)).to_bytes(1 << width, "little")

    def align(self, width: int) -> None:
        self.out += bytes(-len(self.out) & (1 << width) - 1)


def _integer(value: int) -> _Value:
    if value >= 0:
        return _Value(value, _UINT, _unsigned_width(value), True)
    return _Value(value, _INT, _unsigned_width((-value - 1) << 1), True)


def _unsigned_width(value: int) -> int:
    return 0 if value < 1 << 8 else 1 if value < 1 << 16 else 2 if value < 1 << 32 else 3


def _is_single(value: float) -> bool:
    try:
        return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)
    except OverflowError:
        return False


def decode(data: bytes | memoryview, *, where: str) -> Any:
    """The JSON value in `data`; `FormatError` for anything else, blobs included.

    Accepts every way to store a value: signed or unsigned, indirect, all kinds of vectors,
    keys as strings. Numbers that are not finite become None.
    """
    return _Reader(bytes(data), where).root()


class _Reader:
    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self.texts: dict[tuple[int, int], str] = {}
        # A tree takes at least one byte for each value. More visits than that mean that
        # vectors share their content, which can expand without bound.
        self.budget = 4 * len(data) + 16

    def root(self) -> Any:
        data = self.data
        if len(data) < 3:
            raise self.error(f"takes at least 3 bytes, found {len(data)}")
        width = data[-1]
        if width not in (1, 2, 4, 8) or len(data) < width + 2:
            raise self.error(f"ends in a root width of {width}")
        return self.value(len(data) - 2 - width, width, data[-2], 0)

    def value(self, at: int, width: int, packed: int, depth: int) -> Any:
        """The value in the slot of `width` bytes at `at`, whose type byte is `packed`."""
        kind = packed >> 2
        self.spend(1)
        if kind == _NULL:
            return None
        if kind in (_INT, _UINT, _FLOAT, _BOOL):
            return self.number(at, width, kind)
        target = self.target(at, width)
        inner = 1 << (packed & 3)
        if kind in _INDIRECT:
            return self.number(target, inner, _INDIRECT[kind])
        if kind == _KEY:
            return self.key(target)
        if kind == _STRING:
            return self.string(target, inner)
        if depth == MAX_DEPTH:
            raise self.error(f"is nested deeper than {MAX_DEPTH} levels")
        if kind in _FIXED:
            count, item = _FIXED[kind]
            return self.typed(target, inner, count, item)
        if kind in _TYPED:
            return self.typed(target, inner, self.size(target, inner), _TYPED[kind])
        if kind in (_VECTOR, _MAP):
            count = self.size(target, inner)
            types = target + count * inner
            self.check(types, count)
            items = [
                self.value(target + i * inner, inner, self.data[types + i], depth + 1)
                for i in range(count)
            ]
            return items if kind == _VECTOR else self.map(target, inner, items)
        raise self.error(f"holds a value of the type {kind}, which JSON does not have")

    def map(self, target: int, width: int, items: list[Any]) -> dict[str, Any]:
        keys = self.target(target - 3 * width, width)
        key_width = self.unsigned(target - 2 * width, width)
        if key_width not in (1, 2, 4, 8):
            raise self.error(f"has keys of a width of {key_width} bytes")
        if self.size(keys, key_width) != len(items):
            raise self.error("has a map with different numbers of keys and values")
        return dict(zip(self.typed(keys, key_width, len(items), _KEY), items, strict=True))

    def typed(self, target: int, width: int, count: int, kind: int) -> list[Any]:
        self.spend(count)
        self.check(target, count * width)
        slots = range(target, target + count * width, width)
        if kind == _KEY:
            return [self.key(self.target(at, width)) for at in slots]
        if kind == _STRING:
            # The deprecated vector of strings does not say the width of their sizes.
            return [self.string(self.target(at, width), 1) for at in slots]
        return [self.number(at, width, kind) for at in slots]

    def number(self, at: int, width: int, kind: int) -> Any:
        self.check(at, width)
        if kind == _FLOAT:
            if width == 1:
                raise self.error("holds a float of one byte")
            form = {2: "<e", 4: "<f", 8: "<d"}[width]
            value: float = struct.unpack_from(form, self.data, at)[0]
            return value if math.isfinite(value) else None
        raw = int.from_bytes(self.data[at : at + width], "little", signed=kind == _INT)
        return bool(raw) if kind == _BOOL else raw

    def string(self, target: int, width: int) -> str:
        count = self.size(target, width)
        return self.text(target, target + count)

    def key(self, target: int) -> str:
        self.check(target, 0)
        end = self.data.find(b"\0", target)
        if end < 0:
            raise self.error(f"has a key without an end at byte {target}")
        return self.text(target, end)

    def text(self, start: int, end: int) -> str:
        found = self.texts.get((start, end))
        if found is None:
            self.spend(end - start)
            self.check(start, end - start)
            try:
                found = self.data[start:end].decode()
            except UnicodeDecodeError:
                raise self.error(f"has text that is not UTF-8 at byte {start}") from None
            self.texts[start, end] = found
        return found

    def size(self, target: int, width: int) -> int:
        count = self.unsigned(target - width, width)
        if count > len(self.data):
            raise self.error(f"has a size of {count} at byte {target - width}")
        return count

    def target(self, at: int, width: int) -> int:
        return at - self.unsigned(at, width)

    def unsigned(self, at: int, width: int) -> int:
        self.check(at, width)
        return int.from_bytes(self.data[at : at + width], "little")

    def check(self, at: int, count: int) -> None:
        if at < 0 or at + count > len(self.data):
            raise self.error(f"refers to bytes {at} to {at + count} of {len(self.data)}")

    def spend(self, amount: int) -> None:
        self.budget -= amount
        if self.budget < 0:
            raise self.error("repeats its content to more than it can hold")

    def error(self, problem: str) -> FormatError:
        return FormatError(
            f"{self.where}: the FlexBuffers value {problem}", ErrorKind.DESERIALIZATION
        )
