"""What the API takes and answers: types from which requests are read, answers are written, and OpenAPI is described."""

import math
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert, structs

from unisono.retrieval.collection import Hit, IndexedTrack

LONGEST_TEXT = 1000
"""Characters of a description, a condition or an id; text encoders read far fewer."""
MOST_PARTS = 100
"""Descriptions, conditions, or ids of one request."""

Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
Texts = Annotated[list[Text], Meta(max_length=MOST_PARTS)]
Verdict = Literal["keep", "reject", ""]


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is searched for; see docs/search.md for weights and conditions."""

    q: Texts = []
    """Descriptions: all should fit."""
    without: Texts = []
    """Descriptions of what is not wanted."""
    like: Texts = []
    """Music that it should be like: ids, parts of "artist - title" that only one track has, or playlists: `Evening.m3u8`
    that was saved here, or one on a media server, `subsonic:Quiet evening`."""
    where: Texts = []
    """Conditions such as `year>=1990`, `genre~=folk`, `duration=2:00..4:00`: all must hold."""
    keep: Texts = []
    """Ids of hits that were right."""
    reject: Texts = []
    """Ids of hits that were wrong."""
    top: Annotated[int, Meta(ge=1, le=500)] = 30
    max_per_artist: Annotated[int, Meta(ge=1)] | None = None
    max_per_album: Annotated[int, Meta(ge=1)] | None = None
    one_per_recording: bool = False
    diversity: Annotated[float, Meta(ge=0, le=1)] = 0.0
    remembered: bool = True
    """Whether the verdicts that were given to this question before count."""


class ById(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One track."""

    id: Text


class Similar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A track, and how many like it."""

    id: Text
    where: Texts = []
    top: Annotated[int, Meta(ge=1, le=500)] = 30
    max_per_artist: Annotated[int, Meta(ge=1)] | None = None


class Named(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A playlist."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


class Page(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a list."""

    where: Texts = []
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Conditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on the tracks that are counted."""

    where: Texts = []


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class TrackAnswer(Struct, frozen=True, kw_only=True):
    """What is known of a track."""

    id: str
    title: str
    artist: str
    album: str
    album_artist: str
    year: int | None
    genre: str
    tags: list[str]
    duration_s: float
    start_s: float
    """Where in the file the music of this track begins."""
    bpm: float | None
    rating: float | None
    added: str
    library: str
    license: str
    audio_path: str


class Found(Struct, frozen=True, kw_only=True):
    """A track that a question found."""

    track: TrackAnswer
    score: float
    percentile: float | None
    """The share of the library, in percent, that fits less."""
    why: dict[str, float]
    """The tags that speak for it, the strongest first."""
    parts: dict[str, float]
    """Of a question of several parts, what each says of the track, in standard deviations."""
    moment_s: float | None
    """Where the window that fits best begins, in seconds of the file."""
    curve: list[tuple[float, float]]
    """(second of the file, score) of each window."""
    verdict: Verdict = ""


class SearchAnswer(Struct, frozen=True, kw_only=True):
    """What a question found, best first."""

    query: str
    searched: int
    """How many tracks fulfil the conditions."""
    fits: bool
    """False if nothing fits well."""
    notes: list[str]
    hits: list[Found]


class TrackList(Struct, frozen=True, kw_only=True):
    """A part of the list of tracks."""

    total: int
    tracks: list[TrackAnswer]


class Facet(Struct, frozen=True, kw_only=True):
    """A value that tracks have."""

    where: str
    """The condition that selects these tracks."""
    label: str
    tracks: int


class FacetGroup(Struct, frozen=True, kw_only=True):
    """The values of a column, the most frequent first."""

    name: str
    facets: list[Facet]
    total: int
    """Tracks that fulfil the conditions on other columns."""


class Facets(Struct, frozen=True, kw_only=True):
    """What the tracks that fulfil the conditions can be narrowed by."""

    total: int
    groups: list[FacetGroup]


class Suggestions(Struct, frozen=True, kw_only=True):
    """Descriptions that fit this library."""

    suggestions: list[str]


class Judgement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A verdict on a hit of a question, or its withdrawal."""

    id: Text
    verdict: Verdict
    q: Texts = []
    without: Texts = []
    like: Texts = []


class Judged(Struct, frozen=True, kw_only=True):
    """The verdicts on the hits of a question."""

    keep: list[str]
    reject: list[str]


class NewPlaylist(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A playlist to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    tracks: Annotated[list[Text], Meta(min_length=1, max_length=10_000)]
    """Ids, in order."""
    target: Annotated[str, Meta(max_length=LONGEST_TEXT)] = "file"
    """`file` for an .m3u8 in the folder of playlists, or one of the targets."""


class PlaylistAnswer(Struct, frozen=True, kw_only=True):
    """A playlist that was made."""

    name: str
    target: str
    tracks: int
    left_out: int


class PlaylistsAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which playlists are to be named."""

    on_servers: bool = False
    """Ask the media servers for theirs, too."""


class Playlists(Struct, frozen=True, kw_only=True):
    """Where playlists can be saved, and which were."""

    targets: list[str]
    """`file`, and media servers."""
    files: list[str]
    """Names of the playlists that were saved as files."""
    on_servers: list[str] = []
    """Those on media servers, as `like` takes them: `subsonic:https://me@music.example.org#Quiet evening`."""


class ItemAsked(Struct, frozen=True, kw_only=True):
    """As the AudioMuse-AI plugin for Navidrome asks; other parameters are allowed."""

    item_id: Text
    n: int = 10
    eliminate_duplicates: bool = False


class ArtistAsked(Struct, frozen=True, kw_only=True):
    """As the AudioMuse-AI plugin for Navidrome asks; other parameters are allowed."""

    artist: Text
    n: int = 10
    include_component_matches: bool = False


class SimilarItem(Struct, frozen=True, kw_only=True):
    """A track, as the AudioMuse-AI plugin for Navidrome reads it."""

    item_id: str
    title: str
    author: str
    album: str
    distance: float


class SimilarArtist(Struct, frozen=True, kw_only=True):
    """An artist, as the AudioMuse-AI plugin for Navidrome reads it."""

    artist: str
    artist_id: str
    divergence: float
    component_matches: list[dict[str, Any]] = []


class Password(Struct, frozen=True, forbid_unknown_fields=True):
    """A password."""

    password: Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]


class AboutAnswer(Struct, frozen=True, kw_only=True):
    """What this is."""

    name: str
    version: str
    label: str
    """Name of the library."""
    model: str
    tracks: int
    signed_in: bool
    """Whether a session can be ended."""


class Version(Struct, frozen=True, kw_only=True):
    """The version of the program."""

    version: str


class Health(Struct, frozen=True, kw_only=True):
    """That the service answers."""

    status: Literal["ok"]


class Done(Struct, frozen=True, kw_only=True):
    """That something was done."""

    done: bool = True


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a request was refused, and what to do."""

    error: str
    hint: str = ""


def track_of(track: IndexedTrack) -> TrackAnswer:
    """Return what the API says of a track."""
    known = convert(track, TrackAnswer, from_attributes=True)
    if math.isfinite(known.duration_s) and math.isfinite(known.start_s):
        return known
    return structs.replace(known, duration_s=_finite(known.duration_s), start_s=_finite(known.start_s))


def found_of(hit: Hit, verdict: Verdict) -> Found:
    """Return what the API says of a hit."""
    return Found(
        track=track_of(hit.track),
        score=round(_finite(hit.score), 4),
        percentile=None if hit.percentile is None else round(_finite(hit.percentile), 2),
        why=hit.why,
        parts=hit.parts,
        moment_s=hit.moment_s,
        curve=[(round(second, 2), round(score, 4)) for second, score in hit.curve],
        verdict=verdict,
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0  # JSON has no word for the others
