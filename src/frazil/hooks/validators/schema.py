"""A validator of what must be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from frazil.findings import HookFinding
from frazil.hooks.event import HookEvent
from frazil.hooks.validators.options import Validator, require, texts
from frazil.hooks.validators.selecting import absolute, is_pattern, matches
from frazil.nodes import NodeInfo

_RULES = ("attributes", "dimensions", "dtype", "shape")


def schema(
    *,
    arrays: Mapping[str, Mapping[str, Any]] | None = None,
    groups: Mapping[str, Mapping[str, Any]] | None = None,
) -> Validator:
    """Refuse versions in which arrays or groups are missing or not as they should be.

        schema(
            arrays={"t2m": {"dimensions": ["time", "x"], "dtype": "float32"}, "*": {}},
            groups={"/": {"attributes": ["title"]}},
        )

    arrays, groups: by path, what holds for the node, which must be there; or by pattern, such as
    `ocean/*`, what holds for each that there is. attributes: a list of names that must be there, or
    a mapping of names to values. Of arrays also dimensions: the names, in order; dtype: as Zarr
    names it; shape: sizes, None where any will do. All of the version is looked at, metadata
    alone.
    """
    wanted_arrays = _checked("arrays", arrays or {}, _RULES)
    wanted_groups = _checked("groups", groups or {}, _RULES[:1])
    require(bool(wanted_arrays or wanted_groups), "schema", "it says neither arrays nor groups")

    def validate(event: HookEvent) -> Iterator[HookFinding]:
        nodes = list(event.tree.nodes()) if "" in event.tree else []
        for kind, wanted in (("array", wanted_arrays), ("group", wanted_groups)):
            there = {node.path: node for node in nodes if node.kind == kind}
            for path, rules in wanted.items():
                if is_pattern(path):
                    found = [node for node in there.values() if matches(node.path, [path])]
                elif path in there:
                    found = [there[path]]
                else:
                    yield HookFinding(f"the {kind} is missing", path)
                    continue
                for node in found:
                    for text in _problems(node, rules):
                        yield HookFinding(text, node.path)

    return validate


def _checked(
    name: str, given: Mapping[str, Mapping[str, Any]], known: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    require(isinstance(given, Mapping), "schema", f"{name} is a mapping of paths")
    found = {}
    for path, rules in given.items():
        require(isinstance(rules, Mapping), "schema", f"what holds for {path} is a mapping")
        unknown = sorted(set(rules) - set(known))
        require(not unknown, "schema", f"{path} has {unknown}, known are {', '.join(known)}")
        attributes = rules.get("attributes", {})
        if not isinstance(attributes, Mapping):
            texts(attributes, "schema", f"attributes of {path}")
        texts(rules.get("dimensions", ()), "schema", f"dimensions of {path}")
        found[absolute(path)] = rules
    return found


def _problems(node: NodeInfo, rules: Mapping[str, Any]) -> Iterator[str]:
    attributes = rules.get("attributes", {})
    for name in attributes:
        if name not in node.attributes:
            yield f"the attribute {name!r} is missing"
        elif isinstance(attributes, Mapping) and node.attributes[name] != attributes[name]:
            yield f"{name!r} is {node.attributes[name]!r}, not {attributes[name]!r}"
    if "dimensions" in rules:
        names, wanted = list(node.dimension_names or ()), list(rules["dimensions"])
        if names != wanted:
            yield f"its dimensions are {_listed(names)}, not {_listed(wanted)}"
    if "dtype" in rules and node.dtype != rules["dtype"]:
        yield f"its type is {node.dtype}, not {rules['dtype']}"
    if "shape" in rules:
        shape, wanted = node.shape or (), rules["shape"]
        fits = len(shape) == len(wanted) and all(
            want is None or want == size for size, want in zip(shape, wanted, strict=True)
        )
        if not fits:
            yield f"its shape is {list(shape)}, not {list(wanted)}"


def _listed(names: Sequence[object] | None) -> str:
    return ", ".join(map(str, names)) if names else "not named"
