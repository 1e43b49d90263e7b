"""What callers pass is checked against the annotations, with errors in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from unisono.base.arguments import AnyPath, Count, Seconds, Share, as_path, checked, nearest
from unisono.base.errors import UsageError


@checked
def example(
    path: AnyPath,
    *,
    top: Count = 10,
    start_s: Seconds | None = None,
    share: Share = 0.5,
    names: Sequence[str] = (),
    kind: Literal["mean", "stats"] = "mean",
    strict: bool = False,
    weights: Mapping[str, float] | None = None,
    **more: Any,
) -> tuple[Path, int]:
    """Return the path and `top`."""
    assert isinstance(path, Path)
    return path, top


def test_right_values_pass_and_paths_become_paths() -> None:
    given: dict[str, Any] = {
        "start_s": 3,
        "share": 0,
        "names": ["a"],
        "kind": "stats",
        "strict": True,
        "weights": {"a": 1.0},
        "else_": 1,
    }
    assert example("~/x", top=3, **given) == (Path("~/x").expanduser(), 3)
    assert example(Path("a")) == (Path("a"), 10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"top": 0}, "top must be at least 1, found 0"),
        ({"top": "5"}, "top must be a whole number, found '5'"),
        ({"top": True}, "top must be a whole number, found True"),
        ({"top": 2.5}, "top must be a whole number, found 2.5"),
        ({"start_s": -1}, "start_s must be at least 0 and at most 1e.09 or None, found -1"),
        ({"start_s": float("nan")}, "start_s must be .* found nan"),
        ({"share": 1}, "share must be at least 0 and below 1, found 1"),
        ({"names": "abc"}, "names must be a sequence, found 'abc'"),
        ({"names": ["a", 3]}, "names must be a sequence of items that are each a text"),
        ({"kind": "median"}, "kind must be one of 'mean', 'stats', found 'median'"),
        ({"strict": 1}, "strict must be True or False, found 1"),
        ({"weights": [1]}, "weights must be a mapping or None"),
        ({"path": 3}, "path must be .*a path.*found 3"),
        ({"path": None}, "path must be"),
        ({"path": ""}, "Expected a path"),
    ],
)
def test_wrong_values_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        example(**{"path": "a", **given})
    if "path" not in given:
        assert raised.value.parameter == next(iter(given))


def test_unknown_parameters_are_named_with_the_nearest() -> None:
    @checked
    def plain(*, epochs: Count = 5) -> int:
        return epochs

    with pytest.raises(UsageError, match=r"plain\(\) has no parameter 'epoch'. Did you mean 'epochs'\?"):
        plain(epoch=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match=r"plain\(\): too many positional arguments"):
        plain(3)  # type: ignore[call-arg]
    assert plain(epochs=2) == 2


def test_the_nearest_name_is_suggested_only_if_it_is_near() -> None:
    assert nearest("song_descriptor", ["fma", "song_describer"]) == " Did you mean 'song_describer'?"
    assert nearest("xyz", ["fma", "song_describer"]) == ""


@pytest.mark.parametrize("path", [3, None, "", b"bytes"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(UsageError):
        as_path(path)
