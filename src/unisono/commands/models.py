"""`unisono models list`."""

from rich.table import Table

from unisono.commands import console
from unisono.retrieval import models


def list_models() -> None:
    """Show what the models are, their languages and licences, and whether their weights are on this machine."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in ("name", "what", "languages", "licence", "download", "here", "checked with real weights"):
        is_wordy = column in ("what", "checked with real weights")
        table.add_column(column, no_wrap=not is_wordy, overflow="fold", min_width=18 if is_wordy else None)
    install = []
    for name in models.names():
        spec = models.spec(name)
        is_here = models.get(name).is_here()
        table.add_row(
            f"[bold]{name}[/]",
            console.escape(spec.title),
            spec.languages,
            spec.license,
            f"{spec.size / 1e6:,.0f} MB" if spec.size else "in packages",
            "yes" if is_here else "no",
            console.escape(spec.verified),
        )
        if not is_here:
            install.append(f"{name}: {spec.install}")
    console.out.print("Models (unisono search --model ..., unisono evaluate --model ...)", style="bold")
    console.out.print(table)
    for line in install:
        console.out.print(f"Not here: {console.escape(line)}", soft_wrap=True)
