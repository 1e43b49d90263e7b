"""Checking what callers pass: types and bounds, declared once in a function's annotations.

    Count = Annotated[int, Meta(ge=1)]

    @checked
    def search(query: str, *, top: Count = 10) -> ...

A wrong value raises a `UsageError` that names the parameter, what was expected and what was found. The command
line's options are bounded by the same annotations (`commands/options.py`).
"""

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from unisono.base.errors import UsageError
from unisono.base.files import expanded

P = ParamSpec("P")
R = TypeVar("R")

Count = Annotated[int, Meta(ge=1)]
"""A number of things, at least one."""
AtLeastTwo = Annotated[int, Meta(ge=2)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, lt=1)]
"""A part of a whole, from 0 to below 1."""
Positive = Annotated[float, Meta(gt=0, le=1e9)]
AnyPath = str | os.PathLike[str]
"""What callers may pass as a path."""

_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def as_path(path: AnyPath) -> Path:
    """Return a path as `Path`, with `~` expanded.

    Raises:
        UsageError: it is no path.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise UsageError(f"Expected a path, found {_say(path)}.")
    return expanded(path)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Check a function's arguments against its annotations before it runs, and complete paths to `Path`.

    Raises:
        UsageError: an argument is of another type, or out of its bounds.
    """
    signature = inspect.signature(function)
    hints: dict[str, Any] = {}

    @functools.wraps(function)
    def checking(*args: P.args, **kwargs: P.kwargs) -> R:
        if not hints:  # annotations may name what is imported later
            hints.update(typing.get_type_hints(function, include_extras=True))
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise _unknown(function.__name__, signature, kwargs, error) from None
        for name, value in bound.arguments.items():
            if name in hints and signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = check(name, value, hints[name])
        return function(*bound.args, **bound.kwargs)

    return checking


def check(name: str, value: Any, hint: Any) -> Any:
    """Check one value against an annotation and return it; a path is returned as `Path`.

    Raises:
        UsageError: it does not fit; the hint is what the class that was expected says of `how_to_get` one.
    """
    problem = _problem(value, hint)
    if problem:
        way = getattr(hint, "how_to_get", "")
        raise UsageError(f"{name} must be {problem}, found {_say(value)}.", hint=way, parameter=name)
    if isinstance(value, (str, os.PathLike)) and any(
        os.PathLike in (member, get_origin(member)) for member in _members(hint)
    ):
        return as_path(value)
    return value


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """Return " Did you mean X?" for a misspelt name, or nothing."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""


def flags(options: Mapping[str, Any]) -> list[str]:
    """Write options as they are given on a command line; those without a value are left out."""
    words = []
    for name, value in options.items():
        flag = name.strip("_").replace("_", "-")
        if value is None or value == ():
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *map(str, value if isinstance(value, (list, tuple)) else [value])]
    return words


def _problem(value: Any, hint: Any) -> str:
    """Return what was expected, in words, if a value does not fit; else nothing."""
    problems = [_member_problem(value, member) for member in _members(hint)]
    if not all(problems):
        return ""
    return " or ".join(dict.fromkeys(problems))


def _members(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [inner for member in get_args(hint) for inner in _members(member)]
    return [hint]


def _member_problem(value: Any, hint: Any) -> str:
    origin = get_origin(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return ""
    if hint is type(None) or hint is None:
        return "" if value is None else "None"
    if origin is Annotated:
        return _bounded_problem(value, *get_args(hint))
    if origin is typing.Literal:
        return "" if value in get_args(hint) else "one of " + ", ".join(map(repr, get_args(hint)))
    if origin in (tuple, list, set, frozenset, dict) or (inspect.isclass(origin) and hasattr(origin, "__iter__")):
        return _collection_problem(value, origin, get_args(hint))
    kind = origin or hint
    if not inspect.isclass(kind):
        return "" if callable(value) or not callable(kind) else "callable"
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return ""
    if kind is int and isinstance(value, bool):
        return "a whole number"
    try:
        fits = isinstance(value, kind)
    except TypeError:  # a protocol that cannot be checked at run time
        return ""
    return (
        ""
        if fits
        else {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}.get(
            kind, "a path" if kind in (Path, os.PathLike) else f"a {kind.__name__}"
        )
    )


def _collection_problem(value: Any, kind: type, inner: tuple[Any, ...]) -> str:
    name = f"a {kind.__name__.lower()}"
    if isinstance(value, (str, bytes)) or not isinstance(value, kind):
        return name
    inner = tuple(each for each in inner if each is not ...)
    if len(inner) == 1 and isinstance(value, (tuple, list, set, frozenset)):
        problem = next(filter(None, (_problem(each, inner[0]) for each in value)), "")
        return problem and f"{name} of items that are each {problem}"
    return ""


def _bounded_problem(value: Any, kind: Any, *metadata: Any) -> str:
    problem = _problem(value, kind)
    if problem:
        return problem
    if value is None:
        return ""
    for meta in metadata:
        if isinstance(meta, Meta):
            try:
                msgspec.convert(value, Annotated[kind, meta])
            except msgspec.ValidationError:
                return " and ".join(
                    f"{words} {getattr(meta, sign):g}"
                    for sign, words in _SIGNS.items()
                    if getattr(meta, sign) is not None
                )
            if isinstance(value, float) and value != value:
                return "a number"
    return ""


def _unknown(name: str, signature: inspect.Signature, given: dict[str, Any], error: TypeError) -> UsageError:
    known = list(signature.parameters)
    for each in given:
        if each not in known:
            return UsageError(
                f"{name}() has no parameter {each!r}.{nearest(each, known)}", hint="It takes: " + ", ".join(known)
            )
    return UsageError(f"{name}(): {error}.")


def _say(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
