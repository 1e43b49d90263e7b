"""Robustness: what edits of captions and of audio by rule change, and whether a few tracks answer everything."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from unisono.audio.decode import Excerpt
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.base.seeded import rank_key
from unisono.base.table import Table
from unisono.embeddings.embed_files import embed_files
from unisono.embeddings.file import EncoderRecord, SplitRows
from unisono.retrieval import models
from unisono.retrieval.evaluate.hubness import HubReport, csls_penalty, measure_hubs
from unisono.retrieval.evaluate.measured import Estimate
from unisono.retrieval.evaluate.robustness import sound, wording
from unisono.retrieval.metrics import TIE, interval, normalised, per_query, ranks, resampled
from unisono.retrieval.models import Floats, JointModel
from unisono.retrieval.pairing import Pairing

MOST_TRACKS_HEARD = 60
"""Tracks whose audio is edited; all others stay as they are."""
MULTILINGUAL = ("e5", "qwen3", "xlm", "multilingual")
"""What the name or the source of a text encoder that claims several languages contains."""


class EditResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one edit changes."""

    name: str
    queries: int
    """Captions that the rule applies to; of audio, those of the tracks that were edited."""
    estimate: Estimate
    """Pair accuracy, or the drop of MRR."""
    before: float | None = None
    """MRR of the same queries without the edit."""
    after: float | None = None
    example: tuple[str, str] | None = None
    """A caption before and after."""


class RobustnessReport(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of all edits."""

    opposites: list[EditResult]
    """Edits after which a caption is false: how often the true caption is nearer to its music."""
    rewordings: list[EditResult]
    """Edits after which a caption is still true: by how much MRR drops."""
    audio: list[EditResult]
    """Edits of the audio: by how much MRR drops."""
    hubs: HubReport
    hubs_corrected: HubReport
    """The same after the correction for hubs (CSLS)."""
    notes: list[str]

    def tables(self) -> list[Table]:
        """Return the tables."""
        accuracy = [
            (each.name, f"{each.queries:,}", _percent(each.estimate.value), _interval(each.estimate), "50.0")
            for each in self.opposites
        ]
        drops = [
            (
                each.name,
                f"{each.queries:,}",
                _percent(each.before or 0),
                _percent(each.after or 0),
                _percent(each.estimate.value),
                _interval(each.estimate),
            )
            for each in (*self.rewordings, *self.audio)
        ]
        hubs = [
            (
                name,
                f"{hub.hubs:,} of {hub.tracks:,}",
                _percent(hub.share),
                _percent(hub.hubs / hub.tracks),
                f"{hub.never_found:,}",
            )
            for name, hub in (("as it is", self.hubs), ("corrected by CSLS", self.hubs_corrected))
        ]
        return [
            Table(
                "Robustness: how often a true caption is nearer to its music than a false one, %",
                ("made false by", "captions", "right", "95%", "chance"),
                accuracy,
            ),
            Table(
                "Robustness: MRR of text to music before and after edits that keep the meaning, %",
                ("edit", "captions", "before", "after", "drop", "95%"),
                drops,
            ),
            Table(
                "Hubness: how the places among the first ten are shared out, %",
                ("", "hubs", "their share", "if even", "tracks never found"),
                hubs,
                words=(0, 1),
            ),
        ]


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
    """[N, D]."""
    seed: int


def measure_robustness(of: Evaluated) -> RobustnessReport:
    """Measure what edits change. All edited captions are embedded once, together; each distinct text a single time."""
    notes = [
        "Robustness: captions are edited by rule, so an edit can be ungrammatical, and a caption that a rule does not apply to is "
        "left out. Pair accuracy: the share of captions that are nearer to their music than their false edit; ties are wrong. "
        "Drop: MRR of the captions less MRR of their edits, with the same relevance and candidates. Intervals: 95 %, paired "
        "bootstrap over recordings.",
        "Hubness: the share of all places among the first ten that the most frequent 1 % of the tracks take. CSLS "
        "subtracts half of a track's mean similarity to its ten nearest queries: it needs all queries at once, so it "
        "describes the space, and is not what a single search does.",
    ]
    edits = {**wording.OPPOSITES, **wording.REWORDINGS, "long: all captions of the track": partial(_joined, of)}
    languages = claimed_languages(of.model)
    edits |= {f"tags in {name}": partial(wording.in_language, words=words) for name, words in languages.items()}
    if not languages:
        notes.append("Languages: not measured, as the text encoder claims English only.")
    edited = {name: [edit(text) for text in of.pairing.texts] for name, edit in edits.items()}
    place = {
        text: at for at, text in enumerate(dict.fromkeys(text for each in edited.values() for text in each if text))
    }
    vectors = of.model.embed_text(list(place), cached=True) if place else np.empty((0, of.texts.shape[1]), np.float32)
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
    penalty = csls_penalty(of.music, of.texts)
    heard, said = _audio(of, plain)
    return RobustnessReport(
        opposites=[result for name, result in found.items() if name in wording.OPPOSITES],
        rewordings=[result for name, result in found.items() if name not in wording.OPPOSITES],
        audio=heard,
        hubs=measure_hubs(of.texts, of.music),
        hubs_corrected=measure_hubs(of.texts, of.music, penalty),
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


def _joined(of: Evaluated, text: str) -> str | None:
    """Return a caption with the other captions of its recording behind it; None if there are none."""
    return _long_captions(of.pairing).get(text)


def _long_captions(pairing: Pairing) -> dict[str, str]:
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
    """Measure how often captions are nearer to their music than their edits; of several relevant tracks the nearest counts."""
    relevance = of.pairing.relevance.only(chosen)
    music, true, false = normalised(of.music), normalised(of.texts[chosen]), normalised(edited)
    begin = relevance.offsets[:-1]
    relevant = music[relevance.candidate]
    scores = [
        np.maximum.reduceat(np.einsum("rd,rd->r", relevant, side[relevance.query]), begin) for side in (true, false)
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
    texts = of.texts[chosen]
    unchanged, *changed = sound.EDITS
    reference = plain.copy()
    reference[relevance.pairs(chosen)] = ranks(texts, vectors[unchanged], relevance.only(chosen))
    return [_drop(of, name, chosen, texts, plain=reference, music=vectors[name]) for name in changed], [
        f"Audio edits: of {len(rows):,} tracks, drawn by a seeded hash of their ids, as mono files at {sound.RATE_HZ:,} Hz; queries "
        "are their captions, candidates all tracks. “Before” is the same files without an edit."
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


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(estimate: Estimate) -> str:
    return f"{_percent(estimate.low)}–{_percent(estimate.high)}"


_Measure = Callable[..., EditResult]
