"""The routes of the API: one function each, from which requests are answered and OpenAPI is described.

A function's docstring says what it does, and its annotations what it takes and answers.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from unisono import __version__
from unisono.base.errors import DataError, UsageError
from unisono.base.extras import extra
from unisono.search.service import answers, audiomuse
from unisono.search.service.endpoint import Endpoint, Service, StatusError
from unisono.search.service.openapi import description
from unisono.search.service.searches import NotFoundError

with extra("serve", "The search page"):
    from starlette.requests import Request
    from starlette.responses import Response

    from unisono.search.service.audio import RangeError, answer_audio, refused_range
    from unisono.search.service.cover import cover_of, sendable

V1 = "/api/v1"
COOKIE = "unisono_session"
COVER_AGE_S = 86400
ENDPOINTS: list[Endpoint] = []

Handler = TypeVar("Handler", bound=Callable[..., Any])


def _route(
    path: str, *, method: str = "GET", answer: Any = None, is_open: bool = False, line: str = ""
) -> Callable[[Handler], Handler]:
    """Make a function a route; `answer` is what a whole response holds: a type, or a media type if it is not JSON."""

    def add(handler: Handler) -> Handler:
        hints = get_type_hints(handler)
        summary = (handler.__doc__ or "").partition("\n")[0]
        its_answer = answer or hints["return"]
        ENDPOINTS.append(Endpoint(path, summary, its_answer, handler, hints["asked"], method, is_open, line))
        return handler

    return add


@_route(f"{V1}/search", line="search")
@_route(f"{V1}/search", method="POST", line="search")
def search(service: Service, asked: answers.Question, _: Request) -> answers.SearchAnswer:
    """Find the tracks that fit a question best; a long one is a POST."""
    return service.searches.find(asked)


@_route(f"{V1}/similar", line="search")
def similar(service: Service, asked: answers.Similar, _: Request) -> answers.SearchAnswer:
    """Find the tracks that sound most like a track."""
    service.searches.track(asked.id)
    return service.searches.find(
        answers.Question(like=[asked.id], where=asked.where, top=asked.top, max_per_artist=asked.max_per_artist)
    )


@_route(f"{V1}/tracks")
def tracks(service: Service, asked: answers.Page, _: Request) -> answers.TrackList:
    """List the tracks that fulfil conditions."""
    return service.searches.listed(asked)


@_route(f"{V1}/track")
def track(service: Service, asked: answers.ById, _: Request) -> answers.TrackAnswer:
    """Tell what is known of a track."""
    return answers.track_of(service.searches.track(asked.id))


@_route(f"{V1}/audio", answer="audio/*")
def audio(service: Service, asked: answers.ById, request: Request) -> Response:
    """Send the audio of a track, whole or in ranges."""
    return _sent(service.searches.music.audio(service.searches.track(asked.id)), request)


@_route(f"{V1}/audio.mp3", answer="audio/mpeg", line="mp3")
def audio_as_mp3(service: Service, asked: answers.ById, request: Request) -> Response:
    """Send the audio of a track as MP3, for players that do not know its own format."""
    source = service.searches.music.audio(service.searches.track(asked.id))
    return _sent(service.transcoded.mp3(asked.id, source), request)


def _sent(source: AbstractContextManager[Path], request: Request) -> Response:
    try:
        found = answer_audio(source, request)
    except RangeError as error:
        return refused_range(error.size, {})
    if found is None:
        raise NotFoundError("The audio file is not there, or is not audio.")
    return found


@_route(f"{V1}/cover", answer="image/*", line="cover")
def cover(service: Service, asked: answers.ById, _: Request) -> Response:
    """Send the cover of a track."""
    track = service.searches.track(asked.id)
    path = service.searches.music.file(track)
    content, kind = (path and cover_of(path)) or sendable(service.searches.music.cover(track))
    if not kind:
        raise NotFoundError("There is no cover.")
    return Response(content, media_type=kind, headers={"Cache-Control": f"private, max-age={COVER_AGE_S}"})


@_route(f"{V1}/facets")
def facets(service: Service, asked: answers.Conditions, _: Request) -> answers.Facets:
    """Count what tracks can be narrowed by."""
    return service.searches.facets(asked.where)


@_route(f"{V1}/suggestions", line="search")
def suggestions(service: Service, asked: answers.Nothing, _: Request) -> answers.Suggestions:
    """Propose descriptions that suit this library."""
    return answers.Suggestions(suggestions=service.searches.suggestions())


@_route(f"{V1}/feedback", method="POST")
def feedback(service: Service, asked: answers.Judgement, _: Request) -> answers.Judged:
    """Keep or reject a hit of a question: the same question finds better hits the next time."""
    return service.searches.judge(asked)


@_route(f"{V1}/playlists")
def playlists(service: Service, asked: answers.PlaylistsAsked, _: Request) -> answers.Playlists:
    """Name where playlists can be saved, those that were saved as files, and those on media servers."""
    return service.searches.saved(asked)


@_route(f"{V1}/playlists", method="POST")
def save_playlist(service: Service, asked: answers.NewPlaylist, _: Request) -> answers.PlaylistAnswer:
    """Save tracks as a playlist, or replace the one of this name."""
    return service.searches.save(asked)


@_route(f"{V1}/playlist.m3u8", answer="audio/x-mpegurl")
def playlist(service: Service, asked: answers.Named, _: Request) -> Response:
    """Send a playlist that was saved as a file."""
    name, content = service.searches.playlist(asked.name)
    quoted = msgspec.json.encode(name.encode("ascii", "replace").decode()).decode()
    return Response(
        content, media_type="audio/x-mpegurl", headers={"Content-Disposition": f"attachment; filename={quoted}"}
    )


@_route("/api/similar_tracks", answer=list[answers.SimilarItem], line="search")
def similar_items(service: Service, asked: answers.ItemAsked, _: Request) -> list[dict[str, Any]]:
    """The tracks most like one, as the AudioMuse-AI plugin for Navidrome asks."""
    return _as_audiomuse(
        audiomuse.similar_tracks, service, asked.item_id, asked.n, eliminate_duplicates=asked.eliminate_duplicates
    )


@_route("/api/similar_artists", answer=list[answers.SimilarArtist], line="search")
def similar_artists(service: Service, asked: answers.ArtistAsked, _: Request) -> list[dict[str, Any]]:
    """The artists most like one, as the AudioMuse-AI plugin for Navidrome asks."""
    matches = asked.include_component_matches
    return _as_audiomuse(audiomuse.similar_artists, service, asked.artist, asked.n, include_component_matches=matches)


def _as_audiomuse(
    similar: Callable[..., list[dict[str, Any]]], service: Service, *asked: Any, **options: bool
) -> list[dict[str, Any]]:
    music = service.searches.music
    try:
        return similar(music.collection(), music.server_ids(), *asked, **options)
    except DataError as error:
        raise NotFoundError(error.message) from error


@_route(f"{V1}/about")
def about(service: Service, asked: answers.Nothing, request: Request) -> answers.AboutAnswer:
    """Tell what is searched, and by which model and version."""
    return answers.AboutAnswer(
        name="unisono",
        version=__version__,
        label=service.searches.music.label,
        model=service.searches.model.label,
        tracks=service.searches.tracks,
        signed_in=bool(service.auth and service.auth.is_set and request.cookies.get(COOKIE)),
    )


@_route(f"{V1}/version")
def version(service: Service, asked: answers.Nothing, _: Request) -> answers.Version:
    """Tell the version of the program."""
    return answers.Version(version=__version__)


@_route(f"{V1}/health", is_open=True)
def health(service: Service, asked: answers.Nothing, _: Request) -> answers.Health:
    """Tell that the service answers."""
    return answers.Health(status="ok")


@_route(f"{V1}/metrics", answer="text/plain")
def metrics(service: Service, asked: answers.Nothing, _: Request) -> Response:
    """Counters for Prometheus."""
    return Response(service.metrics.text(service.searches.tracks), media_type=service.metrics.media_type)


@_route(f"{V1}/login", method="POST", answer=answers.Done, is_open=True, line="login")
def sign_in(service: Service, asked: answers.Password, request: Request) -> Response:
    """Begin a session: a cookie, in place of the bearer token."""
    if service.auth is None or not service.auth.is_set:
        raise UsageError("There is no password here.")
    session = service.auth.sign_in(asked.password, request.client.host if request.client else "")
    if session is None:
        raise StatusError(401, "Wrong password.")
    response = Response(msgspec.json.encode(answers.Done()), media_type="application/json")
    is_https = request.url.scheme == "https"
    path = request.scope.get("root_path", "") or "/"
    response.set_cookie(
        COOKIE, session, max_age=30 * 86400, path=path, secure=is_https, httponly=True, samesite="strict"
    )
    return response


@_route(f"{V1}/logout", method="POST", answer=answers.Done, is_open=True)
def sign_out(service: Service, asked: answers.Nothing, request: Request) -> Response:
    """End a session."""
    if service.auth:
        service.auth.end(request.cookies.get(COOKIE, ""))
    response = Response(msgspec.json.encode(answers.Done()), media_type="application/json")
    response.delete_cookie(COOKIE, path=request.scope.get("root_path", "") or "/")
    return response


@_route(f"{V1}/openapi.json", answer="application/json", is_open=True)
def openapi(service: Service, asked: answers.Nothing, request: Request) -> Response:
    """This description."""
    found = description(ENDPOINTS, request.scope.get("root_path", ""))
    return Response(msgspec.json.encode(found), media_type="application/json")
