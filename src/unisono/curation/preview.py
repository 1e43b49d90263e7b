"""A preview of captions: some tracks with the captions they have, and those that other ways or a training would make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unisono.base.arguments import AnyPath, Count, checked
from unisono.base.errors import UsageError
from unisono.base.seeded import rank_key
from unisono.base.table import Table, Tabular
from unisono.captions.assign import CaptionPlan, assign
from unisono.captions.falsehoods import FALSEHOODS, Falsehood, false_captions, instruments_in, what_is_said
from unisono.captions.language_model import LanguageModel
from unisono.captions.views import views
from unisono.curation.collection import as_tracks
from unisono.tracks.track import Track


@dataclass(frozen=True, repr=False)
class CaptionPreview(Tabular):
    """Tracks before and after, and what a language model wrote that was refused."""

    tracks: list[tuple[Track, Track]]
    """(with the captions it has, with those it would get)."""
    refused: list[dict[str, str]]
    """id, mode, reason, text."""

    def table(self) -> Table:
        """Return it as a table."""
        rows = [
            ("" if number else f"{before.id} {when}", caption.origin or "unmarked", caption.text)
            for before, after in self.tracks
            for when, track in (("before", before), ("after", after))
            for number, caption in enumerate(track.captions)
        ]
        return Table("", ("track", "origin", "caption"), rows, words=(0, 1, 2))


@checked
def preview(
    tracks: AnyPath | Iterable[Track],
    *,
    captions: Sequence[str] = ("template",),
    caption_all: bool = False,
    llm: LanguageModel | None = None,
    count: Count = 10,
    seed: int = 42,
) -> CaptionPreview:
    """Caption some tracks as `unify` would; nothing is written but the answers of a language model.

    Args:
        tracks: a unified file, or tracks.
        captions: the ways to caption.
        caption_all: whether tracks that upstream describes get captions, too.
        llm: settings of the language model for the way `llm`.
        count: how many tracks.
        seed: of the choice of tracks, and of `varied`.

    Raises:
        UsageError: the arguments contradict each other, or no track would get a caption.
        UnisonoError: the language model cannot be asked.
    """
    plan = CaptionPlan(ways=captions, of_all=caption_all, model=llm or LanguageModel())
    everything = as_tracks(tracks)
    made = {track.id for track in everything if {caption.origin for caption in track.captions} == {"tags"}}
    candidates = [track for track in everything if caption_all or track.id in made]
    if not candidates:
        raise UsageError(
            "Every track has captions that were not made from tags, and those stay as they are.",
            hint="See what would be added to them with --caption-all",
        )
    before = sorted(candidates, key=lambda track: rank_key(seed, "preview", track.id))[:count]
    assigned = assign(before, made, plan, seed=seed)
    refused = [item for report in assigned.reports.values() for item in report.get("refused", [])]
    return CaptionPreview(list(zip(before, assigned.tracks, strict=True)), refused)


@dataclass(frozen=True, repr=False)
class ViewsPreview(Tabular):
    """What training makes of captions with `views` and `hard_negatives`."""

    captions: list[tuple[str, str, dict[str, list[str]], dict[Falsehood, str]]]
    """(id of the track, caption, views by kind, false captions by kind)."""

    def table(self) -> Table:
        """Return it as a table."""
        rows: list[tuple[str, ...]] = []
        for id, _, kinds, false in self.captions:
            made = [(kind, f"1/{len(kinds) * len(texts)}", text) for kind, texts in kinds.items() for text in texts]
            made += [(f"false: {kind}", f"1/{len(false)}", text) for kind, text in false.items()]
            rows += [("" if number else id, *row) for number, row in enumerate(made)]
        return Table("", ("track", "kind", "chance", "text"), rows, words=(0, 1, 3))


@checked
def preview_views(tracks: AnyPath | Iterable[Track], *, count: Count = 10, seed: int = 42) -> ViewsPreview:
    """Make the partial views and the false captions of the captions of some tracks, as `train` does; nothing is written.

    Args:
        tracks: a unified file, or tracks.
        count: how many tracks.
        seed: of the choice of tracks, the views and the edits.
    """
    everything = as_tracks(tracks)
    shown = sorted(everything, key=lambda track: rank_key(seed, "preview", track.id))[:count]
    wanted = {track.recording or track.id for track in shown}
    said: dict[str, list[str]] = {}
    for track in everything:
        if (name := track.recording or track.id) in wanted:
            said.setdefault(name, []).extend([*track.texts, *track.tags, *([track.genre] if track.genre else [])])
    instruments = instruments_in(text for track in everything for text in track.texts)

    sayings = {name: what_is_said(texts, instruments) for name, texts in said.items()}

    def false(track: Track, text: str) -> dict[Falsehood, str]:
        return false_captions(text, sayings[track.recording or track.id], FALSEHOODS, seed)

    return ViewsPreview(
        [(track.id, text, views(text, seed), false(track, text)) for track in shown for text in track.texts]
    )
