"""What the documentation site shows and no file of `docs/` holds: commands, names, examples, the project's pages."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import unisono
from unisono.cli import GROUPS, VERBS, app

REPOSITORY = Path(__file__).parent.parent
PROJECT = ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md")
AUTHORS = (
    ("Datasets", "unisono.sources.base"),
    ("Readers of tables", "unisono.sources.readers"),
    ("Cells", "unisono.sources.cells"),
    ("Audio encoders", "unisono.embeddings.encoders.audio"),
    ("Text encoders", "unisono.embeddings.encoders.text"),
)
"""Modules that other packages build on."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for each command into the navigation."""
    reference = next(each["Reference"] for each in config.nav or [] if "Reference" in each)
    reference[0]["Commands"] = ["commands/index.md", *(f"commands/{verb}.md" for verb in (*VERBS, *GROUPS))]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, text in (*commands(), *names(), *examples(), *project()):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Leave out links to files of the repository that are no pages; their names stay."""
    return re.sub(r"\[(`[^`]+`)\]\(\.\./deploy/[^)]+\)", r"\1", markdown)


def on_page_content(html: str, **_: object) -> str:
    """Leave out the headings of tables that have none, which a screen reader would announce."""
    html = re.sub(r"<thead>\s*<tr>(?:\s*<th[^>]*></th>)+\s*</tr>\s*</thead>", "", html)
    return re.sub(r"<th([^>]*)></th>", r"<td\1></td>", html)


def commands() -> Iterator[tuple[str, str]]:
    """Yield a page for each command, and one that lists them."""
    whole = app.generate_docs(output_format="markdown", recursive=True, heading_level=1)
    _, *parts = re.split(r"^## unisono ", whole, flags=re.M)
    named = {part.split("\n", 1)[0].strip(): part.split("\n", 1)[1] for part in parts}
    launch = re.findall(r"^\* `--(?:config|quiet|verbose|debug)\b.*\n", whole.split("\n## unisono ", 1)[0], re.M)
    shared = (
        "# Commands\n\nEach reads files and writes files, and can be used alone. A page has all of its options.\n\n"
    )
    shared += "| | |\n|---|---|\n"
    for verb, text in {**VERBS, **{group: each[0] for group, each in GROUPS.items()}}.items():
        shared += f"| [{verb}]({verb}.md) | {text} |\n"
        yield (
            f"commands/{verb}.md",
            f"---\ntitle: {verb}\n---\n\n# unisono {verb}\n{options(named[verb], launch, verb)}",
        )
    yield "commands/index.md", shared + "\n## Options of all commands\n\n" + definitions("".join(launch))


def options(text: str, launch: list[str], verb: str) -> str:
    """Return the text of a command with its options as definitions, and without those that all commands share."""
    for line in launch:
        text = text.replace(line, "")
    text = re.sub(r"^\*\*(Parameters|Arguments)\*\*:\n\n(?=\n|\*\*|#|\Z)", "", text, flags=re.M)
    text = re.sub(r"^### unisono ", "## unisono ", text, flags=re.M)
    text = re.sub(
        r"^\*\*(Parameters|Commands|Arguments)\*\*:", lambda found: f"**{TITLES[found[1]]}**", text, flags=re.M
    )
    text = re.sub(r"^\* \[`(.*?)`\]\(.*?\): ", r"* `\1`: ", text, flags=re.M)
    text = re.sub(r"^Example: (unisono .*)$", r"    \1", text, flags=re.M)
    return definitions(text)


TITLES = {"Parameters": "Options", "Commands": "Commands", "Arguments": "Arguments"}


def definitions(text: str) -> str:
    """Return a list of options as definitions, which a phone shows without scrolling."""
    lines: list[str] = []
    for line in re.sub(r"\n {8}", " ", text).splitlines():
        found = re.match(r"\* `(-?-?[\w-].*?)`: ?(.*)$", line)
        if not found or not re.match(r"-|[A-Z_]+$", found[1]):
            lines.append(line)
            continue
        said = re.sub(r" ?\*\[default: (?:False|None|\(\)|\[\])\]\*", "", found[2])
        said = re.sub(r" ?\*\[(default|env|choices): (.*?)\]\*", lambda part: f" {WORDS[part[1]]} `{part[2]}`.", said)
        lines += ["", f"`{found[1]}`", f":   {said.strip() or 'See above.'}"]
    return "\n".join(lines) + "\n"


WORDS = {"default": "Default:", "env": "Environment:", "choices": "One of"}


def names() -> Iterator[tuple[str, str]]:
    """Yield the pages of the public names, and of what authors of datasets and encoders use."""
    text = "# Public names\n\n`import unisono as u`; [the tutorial](../python-api.md) shows them at work.\n\n"
    for name in unisono.__all__:
        text += f"::: unisono.{unisono._HOMES[name]}.{name}\n\n"
    yield "api/names.md", text
    text = "# For authors of plug-ins\n\n"
    text += "What [datasets](../add-a-dataset.md) and [encoders](../encoders.md) in other packages build on.\n\n"
    for title, module in AUTHORS:
        text += f"## {title}\n\n`{module}`\n\n::: {module}\n"
        text += "    options: {show_root_heading: false, show_root_toc_entry: false, heading_level: 3}\n\n"
    yield "api/authors.md", text


def examples() -> Iterator[tuple[str, str]]:
    """Yield the notebooks as pages, and the pipelines on one page."""
    folder = REPOSITORY / "examples"
    for path in sorted(folder.glob("*.ipynb")):
        yield f"examples/{path.stem}.md", notebook(path)
    text = "# Whole pipelines\n\nEach is a file of about 30 lines in `examples/`; the tests run all of them.\n\n"
    for path in sorted(folder.glob("*.py")):
        code = path.read_text(encoding="utf-8")
        text += f"## {code.splitlines()[0].strip(chr(34)).rstrip('.')}\n\n`examples/{path.name}`\n\n```python\n{code}```\n\n"
    yield "examples/pipelines.md", text


def notebook(path: Path) -> str:
    """Return a notebook as Markdown, with the texts that its cells printed."""
    text = ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).replace("](../docs/", "](../")
        if cell["cell_type"] == "markdown":
            text += f"{source}\n\n"
            continue
        text += f"```python\n{source}\n```\n\n"
        said = "".join("".join(each.get("text", "")) for each in cell["outputs"])
        text += f"```text\n{said.rstrip()}\n```\n\n" if said.strip() else ""
    return f"{text}The notebook is `examples/{path.name}`.\n"


def project() -> Iterator[tuple[str, str]]:
    """Yield the pages that lie next to README, with their links as the site has them."""
    for name in PROJECT:
        text = (REPOSITORY / name).read_text(encoding="utf-8").replace("](docs/", "](")
        for each in PROJECT:
            text = text.replace(f"]({each})", f"]({each.lower().replace('_', '-')})")
        yield name.lower().replace("_", "-"), text
