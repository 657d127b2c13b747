"""Compare the package with the inventory of Icechunk's public names.

The inventory maps each name to a line about it: a class, a value, a property, an alias, or the
signature of a callable (`async`, `staticmethod` or `classmethod` before it). A name is at fault
if it is missing, or if its parameters differ in name, order, kind or default. More keyword
freedom than asked for is fine, and so are optional parameters that are listed as added.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from dataclasses import dataclass
from enum import EnumMeta
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
INVENTORY = HERE / "inventory.json"
MISSING = HERE / "missing.txt"

LEFT_OUT = ("icechunk.testing",)
"""Helpers for Icechunk's own tests."""

_COLLECTING = ["max_memory_bytes", "incremental", "keep_backups", "on"]

ADDED = {
    "icechunk.Repository.save_config": ["config"],
    "icechunk.Repository.save_config_async": ["config"],
    "icechunk.Repository.expire_snapshots": ["dry_run"],
    "icechunk.Repository.expire_snapshots_async": ["dry_run"],
    "icechunk.Repository.garbage_collect": _COLLECTING,
    "icechunk.Repository.garbage_collect_async": _COLLECTING,
    "icechunk.Conflict.__new__": ["values"],
    "icechunk.azure_storage": ["get_credentials", "scatter_initial_credentials"],
    "icechunk.xarray.to_icechunk": ["write_empty_chunks"],
}
"""Optional parameters that only Frazil has, at the end."""

_Kind = inspect.Parameter
_NONE = _Kind.empty


@dataclass(frozen=True)
class Parameter:
    """One parameter; `default` is the literal value, `...` where it is no literal."""

    name: str
    kind: Any
    default: Any = _NONE


def inventory() -> dict[str, str]:
    """The public names that are wanted, and what each is."""
    names: dict[str, str] = json.loads(INVENTORY.read_text())
    return {name: line for name, line in names.items() if not name.startswith(LEFT_OUT)}


def listed() -> set[str]:
    """The names that are known to be missing or different."""
    return set(MISSING.read_text().split())


def faults(package: str = "frazil") -> dict[str, str]:
    """What is wrong with each name that is not as the inventory has it."""
    found = {name: fault_of(package, name, line) for name, line in inventory().items()}
    return {name: fault for name, fault in found.items() if fault}


def fault_of(package: str, name: str, line: str) -> str:
    """What is wrong with a name; empty if nothing is."""
    path = name.split(".")[1:]
    try:
        value = find(package, path)
    except (AttributeError, ImportError) as error:
        # Attributes that only instances have cannot be seen from outside.
        return "" if line.startswith("attribute:") else f"missing: {error}"
    wanted = parameters_of(line)
    if wanted is None:
        return ""
    if path[-1] in ("__new__", "__init__"):
        value = find(package, path[:-1])
        if isinstance(value, EnumMeta):
            return ""
    try:
        got = [
            Parameter(p.name, p.kind, p.default)
            for p in inspect.signature(value).parameters.values()
        ]
    except (TypeError, ValueError):
        return "has no signature"
    got = [p for p in got if p.name not in ("self", "cls")]
    added = ADDED.get(name, [])
    if added and [p.name for p in got[-len(added) :] if p.default is not _NONE] == added:
        got = got[: -len(added)]
    if re.fullmatch("__.*__", path[-1]) and path[-1] not in ("__new__", "__init__"):
        return "" if len(got) == len(wanted) else f"takes {len(got)} arguments, not {len(wanted)}"
    return "; ".join(differences(wanted, got))


def find(package: str, path: list[str]) -> Any:
    """The object at a dotted path below the package, whose modules are imported on the way."""
    value: Any = importlib.import_module(package)
    for part in path:
        if isinstance(value, ModuleType) and not hasattr(value, part):
            value = importlib.import_module(f"{value.__name__}.{part}")
        else:
            value = getattr(value, part)
    return value


def parameters_of(line: str) -> list[Parameter] | None:
    """The parameters that a line of the inventory states; None if it is not about a callable."""
    signature = re.sub(
        r"^((async|staticmethod|classmethod) )+", "", line.rpartition(" | impl")[2].strip()
    )
    if not signature.startswith("("):
        return None
    try:
        (function,) = ast.parse(f"def f{signature}: ...").body
    except SyntaxError:
        return None
    assert isinstance(function, ast.FunctionDef)
    of = function.args
    positional = [(a, _Kind.POSITIONAL_ONLY) for a in of.posonlyargs]
    positional += [(a, _Kind.POSITIONAL_OR_KEYWORD) for a in of.args]
    without = len(positional) - len(of.defaults)
    found = [
        Parameter(a.arg, kind, _literal(of.defaults[i - without]) if i >= without else _NONE)
        for i, (a, kind) in enumerate(positional)
    ]
    if of.vararg:
        found.append(Parameter(of.vararg.arg, _Kind.VAR_POSITIONAL))
    for a, default in zip(of.kwonlyargs, of.kw_defaults, strict=True):
        value = _NONE if default is None else _literal(default)
        found.append(Parameter(a.arg, _Kind.KEYWORD_ONLY, value))
    if of.kwarg:
        found.append(Parameter(of.kwarg.arg, _Kind.VAR_KEYWORD))
    return [p for p in found if p.name not in ("self", "cls")]


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def differences(wanted: list[Parameter], got: list[Parameter]) -> list[str]:
    """How a signature differs from the wanted one."""
    names, others = [p.name for p in wanted], [p.name for p in got]
    if names != others:
        return [f"parameters are {others}, not {names}"]
    problems = []
    for want, have in zip(wanted, got, strict=True):
        freer = (_Kind.KEYWORD_ONLY, _Kind.POSITIONAL_OR_KEYWORD)
        if have.kind != want.kind and (want.kind, have.kind) != freer:
            problems.append(f"{want.name} is {have.kind.description}, not {want.kind.description}")
        if (want.default is _NONE) != (have.default is _NONE):
            problems.append(f"{want.name} {'has' if want.default is _NONE else 'lacks'} a default")
        elif want.default not in (_NONE, ...) and want.default != have.default:
            problems.append(f"{want.name} is {have.default!r} by default, not {want.default!r}")
    return problems
