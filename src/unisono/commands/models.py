"""`unisono models list` and `unisono models verify`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unisono.base.errors import UnisonoError
from unisono.base.extras import extra, require
from unisono.base.files import remove_left_behind
from unisono.base.table import Table
from unisono.commands import console


def list_models(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Show what the models are, their languages and licences, and whether their weights are on this machine.

    Parameters
    ----------
    json
        Print them as JSON.
    """
    from unisono.retrieval import models

    found = [
        {
            "name": name,
            "title": spec.title,
            "languages": spec.languages,
            "license": spec.license,
            "download": f"{spec.size / 1e6:,.0f} MB" if spec.size else "in packages",
            "here": models.get(name).is_here(),
            "verified": spec.verified,
            "install": spec.install,
        }
        for name, spec in ((name, models.spec(name)) for name in models.names())
    ]
    if json:
        console.print_json(found)
        return
    columns = ("name", "what", "languages", "licence", "download", "here", "checked with real weights")
    rows = [
        (
            each["name"],
            each["title"],
            each["languages"],
            each["license"],
            each["download"],
            "yes" if each["here"] else "no",
            each["verified"],
        )
        for each in found
    ]
    console.show(
        Table("Models (unisono search --model ..., unisono evaluate --model ...)", columns, rows, words=range(7))
    )
    for each in found:
        if not each["here"]:
            console.say(f"Not here: {each['name']}: {each['install']}")


def verify_models(name: str, *, output: Path | None = None, device: str = "cpu") -> None:
    """Fetch a model's weights if they are not here, load and test them, and write a record to send back.

    Parameters
    ----------
    name
        A model (`unisono models list`), or an audio or text encoder (`unisono encoders list`).
    output
        JSON file for the record. Default: `NAME_verified.json`.
    device
        Where it runs: cpu, cuda, cuda:1, ...
    """
    require("train", "Verifying", ("torch", "transformers"))
    with extra("train", "Verifying"):
        from unisono.retrieval.verify import verify
    found = verify(name, device)
    path = output or Path(f"{name}_verified.json")
    remove_left_behind(path)
    found.write(path)
    for tower, each in (("text", found.text), ("audio", found.audio)):
        if each:
            what = (
                "mean cosine of 12 contrasting descriptions"
                if tower == "text"
                else "a sine sweep and silence differ by"
            )
            console.say(f"{tower}: {each.source} @ {each.revision}")
            console.say(f"  {what} {each.measured:.4f}; golden vectors: {each.golden}")
    console.log.info("Wrote %s.", path)
    if not found.passed:
        raise UnisonoError(
            f"{name} did not pass: {found.failure}", hint=f"Please send {path} to the authors of unisono."
        )
    console.say(f"{name} works. Please send {path} to the authors of unisono.")
