"""Robustness: what edits of captions and of audio by rule change, and whether a few tracks answer everything."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Excerpt
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.base.seeded import rank_key
from unisono.captions import wording
from unisono.embeddings.embed_files import embed_files
from unisono.embeddings.file import EncoderRecord, SplitRows
from unisono.retrieval import models
from unisono.retrieval.evaluate.edit_results import EditResult, RobustnessReport
from unisono.retrieval.evaluate.measured import Estimate
from unisono.retrieval.evaluate.robustness import sound
from unisono.retrieval.metrics import TIE, interval, normalised, per_query, ranks, resampled
from unisono.retrieval.models import Floats, JointModel
from unisono.retrieval.pairing import Pairing

MOST_TRACKS_HEARD = 60
"""Tracks whose audio is edited; all others stay as they are."""
MULTILINGUAL = ("e5", "qwen3", "xlm", "multilingual")
"""What the name or the source of a text encoder that claims several languages contains."""


@dataclass(frozen=True)
class Evaluated:
    """What has been evaluated: the model, its data, and both sides in the common space."""

    model: JointModel
    rows: SplitRows
    pairing: Pairing
    record: EncoderRecord
    """What made the embeddings of the rows."""
    texts: Floats
    """[T, D]."""
    music: Floats
    """[N, D], or [N, W, D], see `metrics.similarities`."""
    embed: Callable[[list[str]], Floats]
    """Embeds texts as [n, D]."""
    seed: int


def measure_robustness(of: Evaluated) -> RobustnessReport:
    """Measure what edits change. All edited captions are embedded once, together; each distinct text a single time."""
    notes = [
        "Robustness: captions are edited by rule, so an edit can be ungrammatical; captions that a rule does not apply to "
        "are left out. Right: the share of captions that are nearer to their music than their false edit; ties are wrong. "
        "Drop: MRR of the captions less MRR of their edits, with the same relevance and candidates. Intervals: 95 %, paired "
        "bootstrap over recordings.",
    ]
    edits: dict[str, wording.Edit] = {
        **wording.OPPOSITES,
        **wording.REWORDINGS,
        "long: all captions of the track": _long_captions(of.pairing).get,
    }
    languages = claimed_languages(of.model)
    edits |= {f"tags in {name}": partial(wording.in_language, words=words) for name, words in languages.items()}
    if not languages:
        notes.append("Languages: not measured, as the text encoder claims English only.")
    edited = {name: [edit(text) for text in of.pairing.texts] for name, edit in edits.items()}
    place = {
        text: at for at, text in enumerate(dict.fromkeys(text for each in edited.values() for text in each if text))
    }
    vectors = of.embed(list(place)) if place else np.empty((0, of.texts.shape[1]), np.float32)
    plain = ranks(of.texts, of.music, of.pairing.relevance)
    found: dict[str, EditResult] = {}
    for name, texts in edited.items():
        chosen = np.array([at for at, text in enumerate(texts) if text], dtype=np.int64)
        if not len(chosen):
            notes.append(f"“{name}”: no caption has anything that the rule applies to.")
            continue
        its = vectors[[place[text] for text in texts if text]]
        measure = _accuracy if name in wording.OPPOSITES else partial(_drop, plain=plain)
        first = int(chosen[0])
        example = (of.pairing.texts[first], str(texts[first]))
        found[name] = measure(of, name, chosen, its, example=example)
    heard, said = _audio(of, plain)
    return RobustnessReport(
        opposites=[result for name, result in found.items() if name in wording.OPPOSITES],
        rewordings=[result for name, result in found.items() if name not in wording.OPPOSITES],
        audio=heard,
        notes=[*notes, *said],
    )


def claimed_languages(model: JointModel) -> dict[str, dict[str, str]]:
    """Return the languages to measure, with their words; none if the text tower claims English only."""
    if model.label in models.names():
        said = models.spec(model.label).languages
        return {name: words for name, words in wording.LANGUAGES.items() if name in said or "many" in said.lower()}
    spec = model.text_encoder.spec
    claims = any(part in f"{spec.name} {spec.source}".lower() for part in MULTILINGUAL)
    return wording.LANGUAGES if claims else {}


def _long_captions(pairing: Pairing) -> dict[str, str]:
    """Return caption -> itself with the other captions of its recording behind it, where there are any."""
    by_recording: dict[int, list[str]] = {}
    for text, recording in zip(pairing.texts, pairing.recording_of_text.tolist(), strict=True):
        by_recording.setdefault(recording, []).append(text)
    return {
        text: " ".join([text, *(other for other in texts if other != text)])
        for texts in by_recording.values()
        if len(texts) > 1
        for text in texts
    }


def _accuracy(
    of: Evaluated, name: str, chosen: NDArray[np.int64], edited: Floats, *, example: tuple[str, str]
) -> EditResult:
    """Measure how often captions are nearer to their music than their edits; of several tracks the nearest counts."""
    relevance = of.pairing.relevance.only(chosen)
    music, begin = normalised(of.music), relevance.offsets[:-1]
    relevant = music[relevance.candidate].reshape(len(relevance.candidate), -1, music.shape[-1])
    scores = [
        np.maximum.reduceat(np.einsum("rwd,rd->rw", relevant, normalised(side)[relevance.query]).max(axis=1), begin)
        for side in (of.texts[chosen], edited)
    ]
    right = (scores[0] > scores[1] + TIE).astype(np.float64)
    drawn = resampled({"right": right, "rank": right}, of.pairing.recording_of_text[chosen], of.seed)["right"]
    estimate = Estimate(float(right.mean()), *interval(drawn), 0.5)
    return EditResult(name=name, queries=len(chosen), estimate=estimate, example=example)


def _drop(
    of: Evaluated,
    name: str,
    chosen: NDArray[np.int64],
    edited: Floats,
    *,
    plain: NDArray[np.int64],
    example: tuple[str, str] | None = None,
    music: Floats | None = None,
) -> EditResult:
    """Measure by how much MRR drops, from ranks `plain` to those of edited captions, or of edited music."""
    relevance = of.pairing.relevance.only(chosen)
    before = 1 / per_query(plain[of.pairing.relevance.pairs(chosen)], relevance)["rank"]
    after = 1 / per_query(ranks(edited, of.music if music is None else music, relevance), relevance)["rank"]
    about = of.pairing.recording_of_text[chosen]
    drawn = resampled({"drop": before - after, "rank": before}, about, of.seed)["drop"]
    return EditResult(
        name=name,
        queries=len(chosen),
        estimate=Estimate(float((before - after).mean()), *interval(drawn), 0.0),
        before=float(before.mean()),
        after=float(after.mean()),
        example=example,
    )


def _audio(of: Evaluated, plain: NDArray[np.int64]) -> tuple[list[EditResult], list[str]]:
    """Measure edits of the audio of some tracks; also return sentences on how, or why not."""
    by_draw = sorted(range(len(of.rows.ids)), key=lambda row: rank_key(of.seed, of.rows.ids[row]))
    rows = sorted(row for row in by_draw[:MOST_TRACKS_HEARD] if Path(of.rows.texts["audio_path"][row]).is_file())
    if not rows:
        return [], ["Audio edits: not measured, as the audio files are not there."]
    log.info("Editing the audio of %d tracks.", len(rows))
    try:
        vectors = {name: _with_edited(of, rows, name) for name in sound.EDITS}
    except UnisonoError as error:
        log.warning("Audio edits are not measured: %s", error.message)
        return [], [f"Audio edits: not measured: {error.message}"]
    relevance = of.pairing.relevance
    chosen = np.unique(relevance.query[np.isin(relevance.candidate, rows)])
    texts = of.model.embed_text([of.pairing.texts[at] for at in chosen])
    unchanged, *changed = sound.EDITS
    reference = plain.copy()
    reference[relevance.pairs(chosen)] = ranks(texts, vectors[unchanged], relevance.only(chosen))
    return [_drop(of, name, chosen, texts, plain=reference, music=vectors[name]) for name in changed], [
        f"Audio edits: of {len(rows):,} tracks, drawn by a seeded hash of their ids, as mono files at {sound.RATE_HZ:,} Hz. "
        "Queries are their captions, candidates all tracks, each by its one pooled embedding. “Before” is the same files "
        "without an edit."
    ]


def _with_edited(of: Evaluated, rows: Sequence[int], name: str) -> Floats:
    """Return the vectors of all music, with the audio of some rows edited."""
    stored = of.rows.embeddings[of.record.name].astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(row) for row in rows]
        written = [
            (row, path)
            for row, path in zip(rows, paths, strict=True)
            if sound.write_edited(_excerpt(of.rows, row), name, path)
        ]
        stored[[row for row, _ in written]] = embed_files([path for _, path in written], of.record)
    return of.model.project_audio(stored)


def _excerpt(rows: SplitRows, row: int) -> Excerpt:
    return Excerpt(rows.texts["audio_path"][row], float(rows.start_s[row]), float(rows.duration_s[row]))
