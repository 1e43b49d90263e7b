"""Make the demo's data: three releases below `<root>/raw`, and the truth about every excerpt in them.

The data depends only on the settings and on the code and libraries that make it. Data made with the same ones is kept.
"""

import hashlib
import json
import shutil
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.arrange import Facts
from demo.casting import CLIPS_PER_WORK, DatasetName, Item, cast, with_facts
from demo.layouts import fma, jamendo_max_caps, song_describer
from demo.render import read_works, render_all
from demo.scores import Work, sources
from unisono.base.errors import UsageError
from unisono.base.files import write_whole

SECONDS = 9.0
"""Length of an arrangement."""
MADE = "made.json"
"""The file below the root that records the settings of the finished data; written last."""
TRUTH = "truth.json"
MAKERS = ("instruments", "scores", "arrange", "captions", "render", "casting", "making")
LIBRARIES = ("music21", "pretty_midi", "mido", "midirenderer", "soundfile", "soxr", "numpy")


def make(root: Path, clips: int, seed: int, workers: int) -> dict[str, Any]:
    """Make the releases unless they exist; return the counts of works, and of clips and broken tracks by dataset."""
    settings = {"clips": clips, "seed": seed, "seconds": SECONDS, "made by": _fingerprint()}
    made_path, making_path = root / MADE, root / "making.json"
    if _read(made_path).get("settings") == settings:
        counts: dict[str, Any] = _read(made_path)["counts"]
        return counts
    if _read(making_path) != settings:  # not left by an interrupted run with the same settings
        _clear(root)
        write_whole(making_path, json.dumps(settings))
    works = _works(clips, seed, workers)
    wanted = cast(works, seed, root / "raw")
    render_all([item.recording for items in wanted.values() for item in items], seed, SECONDS, workers)
    items = {dataset: [with_facts(item) for item in its_items] for dataset, its_items in wanted.items()}
    counts = _write_releases(root, items, seed)
    counts["works"] = len(works)
    write_whole(made_path, json.dumps({"settings": settings, "counts": counts}, indent=1))
    return counts


def read_truth(root: Path) -> dict[tuple[str, float], tuple[str, Facts]]:
    """Read the truth about every excerpt: (path below raw, start in s) -> (source of the composition, facts)."""
    return {
        (one["path"], one["start"]): (
            one["source"],
            Facts(**{**one["facts"], "players": tuple(one["facts"]["players"])}),
        )
        for one in json.loads((root / TRUTH).read_text())
    }


def _clear(root: Path) -> None:
    """Remove data made with other settings, and the outputs of the product's stages for it."""
    for name in (MADE, TRUTH, "raw", "facts", "processed_embeddings", "checkpoints", "index.html"):
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _works(clips: int, seed: int, workers: int) -> list[Work]:
    count = clips // CLIPS_PER_WORK
    if count < 20:
        raise UsageError(f"--clips {clips} is too few: at least {20 * CLIPS_PER_WORK} are needed.")
    tunes, chorales = sources(seed)
    in_parts = count // 3
    found = read_works(chorales, in_parts, workers, "Reading chorales")
    found += read_works(tunes, count - in_parts, workers, "Reading fiddle tunes")
    return sorted(found, key=lambda work: hashlib.sha256(f"{seed} {work.source}".encode()).digest())


def _write_releases(root: Path, items: dict[DatasetName, list[Item]], seed: int) -> dict[str, Any]:
    raw = root / "raw"
    broken = {
        "song_describer": song_describer.write(raw / "song_describer", items["song_describer"], seed),
        "fma": fma.write(raw / "fma", items["fma"], seed),
        "jamendo_max_caps": jamendo_max_caps.write(raw / "jamendo_max_caps", items["jamendo_max_caps"], seed, SECONDS),
    }
    truth = [
        {
            "path": str(item.recording.path.relative_to(raw)),
            "start": index * SECONDS,
            "source": item.work.source,
            "facts": asdict(facts),
        }
        for its_items in items.values()
        for item in its_items
        for index, facts in enumerate(item.facts)
    ]
    write_whole(root / TRUTH, json.dumps(truth))
    clips = {dataset: sum(len(item.facts) for item in its_items) for dataset, its_items in items.items()}
    return {"clips": clips, "broken": broken}


def _fingerprint() -> str:
    """Return a digest of the code and the versions of the libraries that make the data."""
    folder = Path(__file__).parent
    files = [folder / f"{name}.py" for name in MAKERS] + sorted((folder / "layouts").glob("*.py"))
    content = b"".join(path.read_bytes() for path in files) + repr([version(name) for name in LIBRARIES]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found
