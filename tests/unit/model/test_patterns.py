"""Regular expressions in Rust's syntax."""

import pytest

from frazil.errors import InvalidInputError
from frazil.model.patterns import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("temp", ["temp", "/a/temperature"], ["tem"]),
        ("^a$", ["a"], ["a\n", "ba"]),
        (r"a\z", ["a", "ba"], ["a\n", "ab"]),
        ("(?m)^a$", ["a\n", "b\na\nc"], ["ab"]),
        ("(?<year>[0-9]{4})", ["in 2024"], ["in 24"]),
        ("(?P<year>[0-9]{4})", ["in 2024"], ["in 24"]),
        ("(?i)abc", ["ABC", "xaBcx"], ["ab"]),
        ("a(?i)b", ["ab", "aB"], ["AB"]),
        ("a(?i)b|c", ["aB", "ab", "C"], ["AB", "xd"]),
        ("(a(?i)b)c", ["aBc"], ["aBC", "Abc"]),
        ("(?i:a)b", ["Ab"], ["AB"]),
        ("(?i)a(?-i)b", ["Ab"], ["AB"]),
        ("(?s)a.b", ["a\nb"], ["ab"]),
        ("a.b", ["axb"], ["a\nb"]),
        (r"\x{41}\u{42}\x43", ["ABC"], ["abc"]),
        (r"\x{2e}", ["."], ["a"]),
        (r"\<a\>", ["b a c"], ["ba", "ab"]),
        ("[[:alpha:]]+[[:digit:]]", ["ab1"], ["1", "ab"]),
        ("^[a-c[x-z]]+$", ["axbz"], ["d"]),
        ("^[^[:space:]/]+$", ["abc"], ["a b", "a/b"]),
        ("^[]a]+$", ["]a"], ["b"]),
        (r"^[\]\-\\]+$", ["]-\\"], ["a"]),
        (r"\d\w\s\b", ["1a b"], ["a1"]),
        ("a{2,3}", ["aa"], ["a"]),
        ("^(?:a|b)*$", ["abba", ""], ["abc"]),
        ("a+?", ["a"], ["b"]),
        ("é", ["é"], ["e"]),
    ],
)
def test_matches_as_rust_does(pattern: str, found: list[str], missed: list[str]) -> None:
    compiled = compile_pattern(pattern)
    assert [text for text in found if compiled.search(text) is None] == []
    assert [text for text in missed if compiled.search(text) is not None] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "[a", "a**", "a++", "*", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", "(?>a)",
        "(?P=a)", r"\p{L}", r"\Z", "[a-z&&[^b]]", "[a--b]", "[[:nope:]]", "[a[^b]]", "(?U)a",
        "(?-u)a", r"\x{110000}", "a{3,2}", "(?#c)", r"\b{start}",
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="regular expression") as caught:
        compile_pattern(pattern)
    assert repr(pattern) in str(caught.value)
