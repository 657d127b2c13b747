"""Regular expressions in Rust's syntax, as stored in configurations, for Python's `re`.

Most of the two syntaxes is one. Translated:

    $                end of the text, without Python's exception for a last newline
    \\z              end of the text
    (?<name>..)      named group
    (?i)..           flags in mid-pattern: for the rest of the group they stand in
    \\x{..} \\u{..}   characters by number
    \\< \\>           start and end of a word
    [[:alpha:]] [a[bc]]   classes inside classes

Refused, because Rust has no such thing: look-around, back-references, atomic and conditional
groups, `\\Z`. Refused, because Python has no such thing: `\\p{..}`, operations between classes,
the flags U, R and -u, a repetition of a repetition.
"""

from __future__ import annotations

import re
from functools import lru_cache

from frazil.errors import ErrorKind, InvalidInputError

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7f",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])")
_NUMBERED = re.compile(r"\\[xuU]\{([0-9A-Fa-f]{1,8})\}")
_LITERAL_LIMIT = 0x110000


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern, for `search`; `InvalidInputError` if it cannot be understood."""
    try:
        return re.compile(_Translator(pattern).translated())
    except (_Refused, re.error, OverflowError, RecursionError) as error:
        raise InvalidInputError(
            f"the regular expression {pattern!r} in the configuration cannot be used: {error}",
            ErrorKind.INVALID_COMMIT_CONFIGURATION,
        ) from error


class _Refused(Exception):
    pass


class _Translator:
    """One pass over a pattern; `at` is the position, `out` what has been written."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.out: list[str] = []
        # For each open group: the flag groups opened inside it, and whether `^` and `$` are
        # about lines there.
        self.groups: list[tuple[list[str], bool]] = [([], False)]

    def translated(self) -> str:
        while self.at < len(self.pattern):
            self._step()
        if len(self.groups) != 1:
            raise _Refused("unclosed group")
        self._close_flags()
        return "".join(self.out)

    def _step(self) -> None:
        c = self.pattern[self.at]
        if c == "\\":
            self.out.append(self._escape(in_class=False))
        elif c == "[":
            self.out.append(self._class())
        elif c == "(":
            self._open()
        elif c == ")":
            if len(self.groups) == 1:
                raise _Refused("unopened group")
            self._close_flags()
            self.groups.pop()
            self._take(")")
        elif c == "|":
            flags = self.groups[-1][0]
            self.out.append(")" * len(flags) + "|" + "".join(flags))
            self.at += 1
        elif c == "$":
            self.at += 1
            self.out.append("$" if self.groups[-1][1] else r"\Z")
        elif c in "*+?}" and self.pattern[self.at + 1 : self.at + 2] in ("+", "*"):
            raise _Refused("a repetition of a repetition")
        else:
            self._take(c)

    def _take(self, text: str) -> None:
        self.out.append(text)
        self.at += 1

    def _close_flags(self) -> None:
        self.out.append(")" * len(self.groups[-1][0]))

    def _open(self) -> None:
        """A group, with flags or a name or neither."""
        rest = self.pattern[self.at :]
        lines = self.groups[-1][1]
        if rest.startswith(("(?P<", "(?<")) and not rest.startswith(("(?<=", "(?<!")):
            self.out.append("(?P<")
            self.at += rest.index("<") + 1
            self.groups.append(([], lines))
            return
        if not rest.startswith("(?"):
            self._take("(")
            self.groups.append(([], lines))
            return
        match = _FLAGS.match(rest)
        if match is None:
            raise _Refused(f"unknown group {rest[:4]!r}")
        on, off = match[1], match[2] or ""
        if not set(on) <= set("imsxu") or not set(off) <= set("imsx"):
            raise _Refused(f"flags {match[0]!r}")
        self.at += match.end()
        lines = "m" in on or (lines and "m" not in off)
        prefix = f"(?{on.replace('u', '')}{'-' + off if off else ''}:"
        if match[3] == ":":
            self.out.append(prefix)
            self.groups.append(([], lines))
        else:
            self.out.append(prefix)
            self.groups[-1] = ([*self.groups[-1][0], prefix], lines)

    def _escape(self, *, in_class: bool) -> str:
        if number := _NUMBERED.match(self.pattern, self.at):
            self.at = number.end()
            code = int(number[1], 16)
            if code >= _LITERAL_LIMIT:
                raise _Refused(f"no character has the number {code:#x}")
            return re.escape(chr(code))
        escaped = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if escaped == "z" and not in_class:
            return r"\Z"
        if escaped in ("<", ">") and not in_class:
            return r"\b(?=\w)" if escaped == "<" else r"\b(?<=\w)"
        if escaped in ("p", "P", "Z") or escaped.isdigit():
            raise _Refused(f"\\{escaped}")
        if escaped in ("b", "B") and self.pattern[self.at : self.at + 1] == "{":
            raise _Refused(f"\\{escaped}{{")
        return f"\\{escaped}"

    def _class(self) -> str:
        """A bracketed class; classes inside it are merged into it."""
        self.at += 1
        out = ["["]
        if self.pattern.startswith("^", self.at):
            out.append("^")
            self.at += 1
        if self.pattern.startswith("]", self.at):
            out.append(r"\]")
            self.at += 1
        while not self.pattern.startswith("]", self.at):
            if self.at >= len(self.pattern):
                raise _Refused("unclosed class")
            out.append(self._class_item())
        self.at += 1
        return "".join([*out, "]"])

    def _class_item(self) -> str:
        if self.pattern.startswith(("&&", "--", "~~"), self.at):
            raise _Refused("operations between classes")
        c = self.pattern[self.at]
        if c == "\\":
            return self._escape(in_class=True)
        if c != "[":
            self.at += 1
            return c
        posix = re.compile(r"\[:(\w+):\]").match(self.pattern, self.at)
        if posix is not None:
            if posix[1] not in _POSIX:
                raise _Refused(f"unknown class {posix[0]}")
            self.at = posix.end()
            return _POSIX[posix[1]]
        inner = self._class()
        if inner.startswith("[^"):
            raise _Refused("a negated class inside a class")
        return inner[1:-1]
