"""The datasets' own options on the command line: each is declared in the dataset's file, and gathered here."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from unisono.commands.options import Count
from unisono.sources import registry
from unisono.sources.base import Option

T = TypeVar("T")


def with_dataset_options(kind: registry.Kind) -> Callable[[type[T]], type[T]]:
    """Add the datasets' own options to a verb's options dataclass. Read them with `dataset_options`."""

    def add(options: type[T]) -> type[T]:
        fields = [(name, _type(option, kind), _default(option, kind)) for name, option in registry.flags(kind).items()]
        made = dataclasses.make_dataclass(
            options.__name__,
            fields,
            bases=(options,),
            frozen=True,
            kw_only=True,
            namespace={"__doc__": options.__doc__},
        )
        made.__module__ = options.__module__
        return made

    return add


def dataset_options(kind: registry.Kind, options: Any) -> dict[str, dict[str, Any]]:
    """Return what a command line asks of each dataset: dataset -> name -> value."""
    return registry.by_dataset(kind, {name: getattr(options, name) for name in registry.flags(kind)})


def _type(option: Option, kind: registry.Kind) -> Any:
    if option.several:
        return Annotated[tuple[str, ...], Parameter(help=option.help)]
    if isinstance(option.default, bool):
        return Annotated[bool, Parameter(help=option.help)]
    hint = Literal[option.values] if option.values else Count
    return Annotated[hint if _default(option, kind) is not None else hint | None, Parameter(help=option.help)]


def _default(option: Option, kind: registry.Kind) -> Any:
    """Return the default on the command line: for `choices` nothing, so that one that no dataset heeds is noticed."""
    return option.default if kind == "options" else () if option.several else None
