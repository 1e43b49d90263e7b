"""What the service does, apart from HTTP: search, count, suggest, judge, save playlists."""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from unisono.base.errors import UnisonoError, UsageError
from unisono.retrieval.collection import Collection, IndexedTrack
from unisono.retrieval.indexes import Floats
from unisono.retrieval.models import JointModel
from unisono.search.filters import allowed, facets, fulfilling, parse_condition
from unisono.search.playlist import ENDINGS, file_name, read_playlist, write_playlist
from unisono.search.query import Query, weighted
from unisono.search.run import search
from unisono.search.seeds import Playlists
from unisono.search.service import answers
from unisono.search.service.feedback import Feedback, ids
from unisono.search.service.music import Music

MOST_FACETS = 24
MOST_TEXTS = 1000
"""Texts whose embeddings are remembered."""
MOST_COUNTED = 100
"""Sets of conditions whose facets are remembered."""
SUGGESTED = 8
LONGEST_SUGGESTION = 40
COMMON_QUESTIONS = (
    "calm acoustic guitar", "solo piano", "slow solemn choir", "fast drums", "dark ambient drone", "upbeat electronic dance",
    "orchestral battle music", "sad strings", "heavy metal guitar", "quiet flute", "female singing", "harp",
    "jazz", "medieval dance", "dreamy synthesizer", "harpsichord",
)  # fmt: skip
"""Proposed as far as they suit a library, after its own tags."""
GROUPS = (("Genre", "genre"), ("Tags", "tags"), ("Decade", "year"), ("Length", "duration"), ("Rating", "rating"),
          ("Added", "added"), ("Artist", "artist"), ("Album", "album"), ("Library", "library"))  # fmt: skip
"""What tracks can be narrowed by, and its column."""
LENGTHS = (("under 2 min", "duration=..119.999"), ("2 to 4 min", "duration=120..239.999"),
           ("4 to 8 min", "duration=240..479.999"), ("8 min and more", "duration=480.."))  # fmt: skip
RATINGS = (("4 stars and more", "rating>=4"), ("3 stars and more", "rating>=3"))
AGES = (("last 7 days", 7), ("last 30 days", 30), ("last year", 365))
BINS: dict[str, Callable[[date], Iterable[tuple[str, str]]]] = {
    "duration": lambda today: LENGTHS,
    "rating": lambda today: RATINGS,
    "added": lambda today: [(label, f"added>={today - timedelta(days=days)}") for label, days in AGES],
}
"""Column -> labels and conditions."""


class NotFoundError(UnisonoError):
    """There is no such track."""


class _Recalling:
    """Embeds texts, and remembers those of the last ones."""

    def __init__(self, embed: Callable[[list[str]], Floats], turn: threading.RLock) -> None:
        self._embed = embed
        self._turn = turn
        self._known: dict[str, Floats] = {}

    def embed(self, texts: Sequence[str]) -> Floats:
        with self._turn:
            new = [text for text in dict.fromkeys(texts) if text not in self._known]
            self._known.update(zip(new, self._embed(new) if new else (), strict=True))
            found = np.stack([self._known[text] for text in texts])
            for text in list(self._known)[:-MOST_TEXTS]:
                del self._known[text]
            return found


class _InTurn:
    """A model whose text encoder is used by one thread at a time, and only for texts that were not asked for lately."""

    def __init__(self, model: JointModel) -> None:
        self._model = model
        self._turn = threading.RLock()
        self._texts = _Recalling(model.embed_text, self._turn)

    def embed_text(self, texts: str | Sequence[str], *, cached: bool = False) -> Floats:
        with self._turn:
            return self._model.embed_text(texts, cached=True) if cached else self._texts.embed(texts)

    @cached_property
    def text_encoder(self) -> _Recalling:
        return _Recalling(self._model.text_encoder.embed, self._turn)


class Searches:
    """A model, and the music in which it searches."""

    def __init__(
        self,
        model: JointModel,
        music: Music,
        *,
        where: Sequence[str] = (),
        feedback: Path | None = None,
        playlists: Path | None = None,
        max_per_artist: int | None = None,
        top: int | None = None,
    ) -> None:
        """Prepare to search.

        Args:
            model: embeds the descriptions.
            music: what is searched.
            where: conditions on all that is searched.
            feedback: the file of verdicts.
            playlists: the folder of playlists that are saved as files; None if none can be.
            max_per_artist: where a question does not say.
            top: the most hits of a question; None for what the question says.
        """
        self.model = model
        self.music = music
        self.feedback = Feedback(feedback)
        self.playlists = playlists
        self._where = tuple(where)
        self._max_per_artist = max_per_artist
        self._top = top
        self._in_turn = cast(JointModel, _InTurn(model))
        self._suggested: tuple[Collection, list[str]] | None = None
        self._held: tuple[Collection, NDArray[np.bool_]] | None = None
        self._counted: tuple[Collection, date, dict[tuple[str, ...], answers.Facets]] | None = None
        if len(self.collection()):
            allowed(self.collection(), self._where)

    def warm_up(self) -> None:
        """Load the text encoder and prepare what the page asks first, so that nobody waits for it."""
        self.suggestions()
        self.facets([])
        if self.tracks:
            search(self._in_turn, Query(COMMON_QUESTIONS[0], where=self._where, top=1), self.collection())

    def collection(self) -> Collection:
        """Return the music as it is now."""
        return self.music.collection()

    @property
    def tracks(self) -> int:
        """How many tracks are searched."""
        return int(self._searched(self.collection()).sum())

    def _searched(self, collection: Collection) -> NDArray[np.bool_]:
        """Return which tracks of a collection are searched, [N]."""
        if self._held is None or self._held[0] is not collection:
            self._held = collection, fulfilling(collection.columns, self._where)
        return self._held[1]

    def find(self, question: answers.Question) -> answers.SearchAnswer:
        """Return the tracks that fit a question best.

        Raises:
            UsageError: a condition is not of the right form, a seed is unknown or ambiguous, or nothing is asked for.
            DataError: no track fulfils the conditions.
        """
        collection = self.collection()
        verdicts: dict[str, answers.Verdict] = {}
        if question.remembered:
            verdicts = {
                id: verdict
                for id, verdict in self.feedback.of(question.q, question.without, question.like).items()
                if id in collection.position_of
            }
        verdicts.update(dict.fromkeys(question.keep, "keep"))
        verdicts.update(dict.fromkeys(question.reject, "reject"))
        query = Query(
            text=tuple(question.q),
            like=tuple(question.like),
            without=tuple(question.without),
            where=(*self._where, *question.where),
            keep=tuple(ids(verdicts, "keep")),
            reject=tuple(ids(verdicts, "reject")),
            top=min(question.top, self._top or question.top),
            max_per_artist=question.max_per_artist or self._max_per_artist,
            max_per_album=question.max_per_album,
            one_per_recording=question.one_per_recording,
            diversity=question.diversity,
        )
        hits = search(self._in_turn, query, collection, self._playlists(question.like, collection))
        return answers.SearchAnswer(
            query=hits.query,
            searched=hits.searched,
            fits=hits.fits,
            notes=list(hits.notes),
            hits=[answers.found_of(hit, verdicts.get(hit.track.id, "")) for hit in hits],
        )

    def _playlists(self, like: Sequence[str], collection: Collection) -> Playlists:
        """Return the playlists among seeds: those that were saved here, and those on media servers.

        Raises:
            UsageError: a file is named that was not saved here.
        """
        others = [each for each in (weighted(named)[0] for named in like) if each not in collection.position_of]
        found = dict(self.music.tracks_of([named for named in others if not named.lower().endswith(ENDINGS)]))
        for named in others:
            if named.lower().endswith(ENDINGS):
                path = (self.playlists or Path("/nowhere")) / named
                if path.name != named or not path.is_file():
                    raise UsageError(f"No playlist {named!r} was saved here.", parameter="like")
                found[named] = read_playlist(path)
        return found

    def track(self, id: str) -> IndexedTrack:
        """Return a track that is searched.

        Raises:
            NotFoundError: there is none of this id.
        """
        collection = self.collection()
        row = collection.position_of.get(id)
        if row is None or not self._searched(collection)[row]:
            raise NotFoundError("There is no such track.")
        return collection.tracks[row]

    def listed(self, page: answers.Page) -> answers.TrackList:
        """Return a part of the list of tracks, in the order of the collection.

        Raises:
            UsageError: a condition is not of the right form.
        """
        collection = self.collection()
        rows = np.flatnonzero(fulfilling(collection.columns, [*self._where, *page.where]))
        shown = rows[page.offset : page.offset + page.limit].tolist()
        return answers.TrackList(total=len(rows), tracks=[answers.track_of(collection.tracks[row]) for row in shown])

    def facets(self, where: Sequence[str]) -> answers.Facets:
        """Count what the tracks that fulfil conditions can be narrowed by.

        The values of a column that a condition names already are counted without it, so that another one can be chosen in
        its place or in addition. Of tags, which a track has several of, further ones narrow.

        Raises:
            UsageError: a condition is not of the right form.
        """
        collection, today = self.collection(), date.today()
        if self._counted is None or self._counted[:2] != (collection, today) or len(self._counted[2]) >= MOST_COUNTED:
            self._counted = collection, today, {}
        known = self._counted[2]
        conditions = (*self._where, *where)
        if conditions not in known:
            known[conditions] = self._facets(collection, conditions, today)
        return known[conditions]

    def _facets(self, collection: Collection, where: Sequence[str], today: date) -> answers.Facets:
        groups = [self._group(collection, name, column, where, today) for name, column in GROUPS]
        genres = {facet.label for group in groups if group.name == "Genre" for facet in group.facets}
        for group in groups:
            if group.name == "Tags":  # some files say their genres twice
                group.facets[:] = [facet for facet in group.facets if facet.label not in genres]
        total = int(fulfilling(collection.columns, where).sum())
        return answers.Facets(total=total, groups=[group for group in groups if group.facets])

    def _group(
        self, collection: Collection, name: str, column: str, where: Sequence[str], today: date
    ) -> answers.FacetGroup:
        columns = collection.columns
        others = where[len(self._where) :]
        if column != "tags":
            others = [each for each in others if parse_condition(each).column != column]
        held = [*self._where, *others]
        mask = fulfilling(columns, held)
        if column in BINS:
            conditions = [(label, each, parse_condition(each)) for label, each in BINS[column](today)]
            bins = [
                (label, each, int((mask & condition.holds(columns)).sum())) for label, each, condition in conditions
            ]
        elif column == "year":
            years = columns.numbers("year")
            decades, counts = np.unique(years[mask & ~np.isnan(years)] // 10 * 10, return_counts=True)
            of_decade = zip(map(int, decades.tolist()), counts.tolist(), strict=True)
            bins = [(f"{start}s", f"year={start}..{start + 9}", count) for start, count in of_decade]
        else:
            found = facets(collection, column, held, MOST_FACETS)
            bins = [(value, f"{column}={value}", count) for value, count in found if value != "unknown"]
        counted = [answers.Facet(where=each, label=label, tracks=count) for label, each, count in bins if count]
        return answers.FacetGroup(name=name, total=int(mask.sum()), facets=counted)

    def suggestions(self) -> list[str]:
        """Return descriptions whose hits stand out in this library: of its own tags first."""
        collection = self.collection()
        if self._suggested is None or self._suggested[0] is not collection:
            self._suggested = collection, self._suggest(collection)
        return self._suggested[1]

    def _suggest(self, collection: Collection) -> list[str]:
        if not len(collection):
            return []
        named = [facets(collection, column, self._where, MOST_FACETS) for column in ("genre", "tags")]
        tags = [value for values in named for value, _ in values]
        proper = [tag.lower() for tag in tags if len(tag) <= LONGEST_SUGGESTION and re.fullmatch(r"[\w' /&-]+", tag)]
        own = list(dict.fromkeys(proper))
        candidates = list(dict.fromkeys([*own, *COMMON_QUESTIONS]))
        scores = collection.best_scores(collection.products(self._in_turn.embed_text(candidates)))
        scores = (scores - scores.mean(axis=0)) / (scores.std(axis=0) + 1e-9)
        standing_out = np.sort(scores, axis=0)[-5:].mean(axis=0)
        best = sorted(range(len(candidates)), key=lambda place: -standing_out[place])
        of_own = [candidates[place] for place in best if place < len(own)][: SUGGESTED // 2]
        return of_own + [candidates[place] for place in best if place >= len(own)][: SUGGESTED - len(of_own)]

    def judge(self, judgement: answers.Judgement) -> answers.Judged:
        """Remember a verdict on a hit.

        Raises:
            NotFoundError: there is no such track.
        """
        self.track(judgement.id)
        return self.feedback.judge(judgement.id, judgement.verdict, judgement.q, judgement.without, judgement.like)

    def saved(self, asked: answers.PlaylistsAsked) -> answers.Playlists:
        """Return where playlists can be saved, the names of those that were saved as files, and those on servers."""
        files = sorted(path.stem for path in self.playlists.glob("*.m3u8")) if self.playlists else []
        return answers.Playlists(
            targets=[*(["file"] if self.playlists else []), *self.music.targets()],
            files=files,
            on_servers=self.music.playlists() if asked.on_servers else [],
        )

    def playlist(self, name: str) -> tuple[str, bytes]:
        """Return the file name and the content of a playlist that was saved as a file.

        Raises:
            NotFoundError: there is none of this name.
        """
        try:
            path = (self.playlists or Path("/nowhere")) / f"{file_name(name)}.m3u8"
            return path.name, path.read_bytes()
        except (OSError, UsageError) as error:
            raise NotFoundError("There is no such playlist.") from error

    def save(self, wanted: answers.NewPlaylist) -> answers.PlaylistAnswer:
        """Save a playlist, or replace the one of this name.

        Raises:
            NotFoundError: there is no such track.
            UsageError: there is no such target, or the name is none.
            UnisonoError: it cannot be written, or the media server refuses.
        """
        tracks = [self.track(id) for id in wanted.tracks]
        if wanted.target != "file":
            saved = self.music.save_playlist(wanted.name, tracks, wanted.target)
            return answers.PlaylistAnswer(
                name=saved.name, target=saved.target, tracks=saved.tracks, left_out=saved.left_out
            )
        if self.playlists is None:
            raise UsageError("There is no folder of playlists here.", parameter="target")
        name = file_name(wanted.name)
        written = write_playlist(self.playlists / f"{name}.m3u8", tracks)
        return answers.PlaylistAnswer(name=name, target="file", tracks=written.files, left_out=len(written.left_out))
