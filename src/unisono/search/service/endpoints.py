"""The routes of the API: one table, from which requests are answered and OpenAPI is described."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

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


def _audio(service: Service, asked: answers.ById, request: Request) -> Response:
    return _sent(service.searches.music.audio(service.searches.track(asked.id)), request)


def _mp3(service: Service, asked: answers.ById, request: Request) -> Response:
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


def _cover(service: Service, asked: answers.ById, request: Request) -> Response:
    track = service.searches.track(asked.id)
    path = service.searches.music.file(track)
    content, kind = (path and cover_of(path)) or sendable(service.searches.music.cover(track))
    if not kind:
        raise NotFoundError("There is no cover.")
    return Response(content, media_type=kind, headers={"Cache-Control": f"private, max-age={COVER_AGE_S}"})


def _about(service: Service, asked: answers.Nothing, request: Request) -> answers.AboutAnswer:
    return answers.AboutAnswer(
        name="unisono",
        version=__version__,
        label=service.searches.music.label,
        model=service.searches.model.label,
        tracks=service.searches.tracks,
        signed_in=bool(service.auth and service.auth.is_set and request.cookies.get(COOKIE)),
    )


def _similar(service: Service, asked: answers.Similar, request: Request) -> answers.SearchAnswer:
    service.searches.track(asked.id)
    return service.searches.find(
        answers.Question(like=[asked.id], where=asked.where, top=asked.top, max_per_artist=asked.max_per_artist)
    )


def _similar_items(service: Service, asked: answers.ItemAsked, request: Request) -> list[dict[str, Any]]:
    music = service.searches.music
    try:
        return audiomuse.similar_tracks(
            music.collection(),
            music.server_ids(),
            asked.item_id,
            asked.n,
            eliminate_duplicates=asked.eliminate_duplicates,
        )
    except DataError as error:
        raise NotFoundError(error.message) from error


def _similar_artists(service: Service, asked: answers.ArtistAsked, request: Request) -> list[dict[str, Any]]:
    music = service.searches.music
    try:
        return audiomuse.similar_artists(
            music.collection(),
            music.server_ids(),
            asked.artist,
            asked.n,
            include_component_matches=asked.include_component_matches,
        )
    except DataError as error:
        raise NotFoundError(error.message) from error


def _sign_in(service: Service, asked: answers.Password, request: Request) -> Response:
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


def _sign_out(service: Service, asked: answers.Nothing, request: Request) -> Response:
    if service.auth:
        service.auth.end(request.cookies.get(COOKIE, ""))
    response = Response(msgspec.json.encode(answers.Done()), media_type="application/json")
    response.delete_cookie(COOKIE, path=request.scope.get("root_path", "") or "/")
    return response


def _playlist(service: Service, asked: answers.Named, request: Request) -> Response:
    name, content = service.searches.playlist(asked.name)
    quoted = msgspec.json.encode(name.encode("ascii", "replace").decode()).decode()
    return Response(
        content, media_type="audio/x-mpegurl", headers={"Content-Disposition": f"attachment; filename={quoted}"}
    )


def _openapi(service: Service, asked: answers.Nothing, request: Request) -> Response:
    found = description(ENDPOINTS, request.scope.get("root_path", ""))
    return Response(msgspec.json.encode(found), media_type="application/json")


ENDPOINTS = (
    Endpoint(
        path=f"{V1}/search",
        line="search",
        summary="Find the tracks that fit a question best.",
        takes=answers.Question,
        answer=answers.SearchAnswer,
        handler=lambda service, asked, _: service.searches.find(asked),
    ),
    Endpoint(
        path=f"{V1}/search",
        method="POST",
        line="search",
        summary="The same, for long questions.",
        takes=answers.Question,
        answer=answers.SearchAnswer,
        handler=lambda service, asked, _: service.searches.find(asked),
    ),
    Endpoint(
        path=f"{V1}/similar",
        line="search",
        summary="Find the tracks that sound most like a track.",
        takes=answers.Similar,
        answer=answers.SearchAnswer,
        handler=_similar,
    ),
    Endpoint(
        path=f"{V1}/tracks",
        summary="List the tracks that fulfil conditions.",
        takes=answers.Page,
        answer=answers.TrackList,
        handler=lambda service, asked, _: service.searches.listed(asked),
    ),
    Endpoint(
        path=f"{V1}/track",
        summary="Tell what is known of a track.",
        takes=answers.ById,
        answer=answers.TrackAnswer,
        handler=lambda service, asked, _: answers.track_of(service.searches.track(asked.id)),
    ),
    Endpoint(
        path=f"{V1}/audio",
        summary="Send the audio of a track, whole or in ranges.",
        takes=answers.ById,
        answer="audio/*",
        handler=_audio,
    ),
    Endpoint(
        path=f"{V1}/audio.mp3",
        line="mp3",
        summary="Send the audio of a track as MP3, for players that do not know its own format.",
        takes=answers.ById,
        answer="audio/mpeg",
        handler=_mp3,
    ),
    Endpoint(
        path=f"{V1}/cover",
        line="cover",
        summary="Send the cover of a track.",
        takes=answers.ById,
        answer="image/*",
        handler=_cover,
    ),
    Endpoint(
        path=f"{V1}/facets",
        summary="Count what tracks can be narrowed by.",
        takes=answers.Conditions,
        answer=answers.Facets,
        handler=lambda service, asked, _: service.searches.facets(asked.where),
    ),
    Endpoint(
        path=f"{V1}/suggestions",
        line="search",
        summary="Propose descriptions that suit this library.",
        answer=answers.Suggestions,
        handler=lambda service, *_: answers.Suggestions(suggestions=service.searches.suggestions()),
    ),
    Endpoint(
        path=f"{V1}/feedback",
        method="POST",
        summary="Keep or reject a hit of a question: the same question finds better hits the next time.",
        takes=answers.Judgement,
        answer=answers.Judged,
        handler=lambda service, asked, _: service.searches.judge(asked),
    ),
    Endpoint(
        path=f"{V1}/playlists",
        summary="Name where playlists can be saved, those that were saved as files, and those on media servers.",
        takes=answers.PlaylistsAsked,
        answer=answers.Playlists,
        handler=lambda service, asked, _: service.searches.saved(asked),
    ),
    Endpoint(
        path=f"{V1}/playlists",
        method="POST",
        summary="Save tracks as a playlist, or replace the one of this name.",
        takes=answers.NewPlaylist,
        answer=answers.PlaylistAnswer,
        handler=lambda service, asked, _: service.searches.save(asked),
    ),
    Endpoint(
        path=f"{V1}/playlist.m3u8",
        summary="Send a playlist that was saved as a file.",
        takes=answers.Named,
        answer="audio/x-mpegurl",
        handler=_playlist,
    ),
    Endpoint(
        path="/api/similar_tracks",
        summary="The tracks most like one, as the AudioMuse-AI plugin for Navidrome asks.",
        takes=answers.ItemAsked,
        answer=list[answers.SimilarItem],
        handler=_similar_items,
        line="search",
    ),
    Endpoint(
        path="/api/similar_artists",
        summary="The artists most like one, as the AudioMuse-AI plugin for Navidrome asks.",
        takes=answers.ArtistAsked,
        answer=list[answers.SimilarArtist],
        handler=_similar_artists,
        line="search",
    ),
    Endpoint(
        path=f"{V1}/about",
        summary="Tell what is searched, and by which model and version.",
        answer=answers.AboutAnswer,
        handler=_about,
    ),
    Endpoint(
        path=f"{V1}/version",
        summary="Tell the version of the program.",
        answer=answers.Version,
        handler=lambda *_: answers.Version(version=__version__),
    ),
    Endpoint(
        path=f"{V1}/health",
        summary="Tell that the service answers.",
        answer=answers.Health,
        handler=lambda *_: answers.Health(status="ok"),
        is_open=True,
    ),
    Endpoint(
        path=f"{V1}/metrics",
        summary="Counters for Prometheus.",
        answer="text/plain",
        handler=lambda service, *_: Response(
            service.metrics.text(service.searches.tracks), media_type=service.metrics.media_type
        ),
    ),
    Endpoint(
        path=f"{V1}/login",
        method="POST",
        line="login",
        summary="Begin a session: a cookie, in place of the bearer token.",
        takes=answers.Password,
        answer=answers.Done,
        handler=_sign_in,
        is_open=True,
    ),
    Endpoint(
        path=f"{V1}/logout",
        method="POST",
        summary="End a session.",
        answer=answers.Done,
        handler=_sign_out,
        is_open=True,
    ),
    Endpoint(
        path=f"{V1}/openapi.json",
        summary="This description.",
        answer="application/json",
        handler=_openapi,
        is_open=True,
    ),
)
