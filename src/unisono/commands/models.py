"""`unisono models list`."""

from typing import Annotated

from cyclopts import Parameter

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
            console.out.print(f"Not here: {each['name']}: {each['install']}", soft_wrap=True, markup=False)
