"""Fetching the original file of a track: by the first of several requests that a server allows and answers with audio."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from unisono.audio.faults import Fault, UnusableError
from unisono.library.sources import SourceAwayError, SourceTrack
from unisono.library.sources._cells import limited
from unisono.library.sources._connection import WRONG_LENGTH, Connection, Parameters, RefusedError

GONE = "no longer on the server"
NO_AUDIO = "server sends no audio"
IS_GONE = {70, 404, 410}
IS_NOT_LOGGED_IN = {40, 44, 401}
IS_NOT_ALLOWED = {50, 403, 501}
"""Numbers of Subsonic (below 100) and HTTP statuses."""


class Originals:
    """The ways to an original file, the best first. One that a user is not allowed is not tried again."""

    def __init__(
        self, connection: Connection, ways: Mapping[str, Parameters], meaning: Callable[[RefusedError], RefusedError]
    ) -> None:
        """Prepare to fetch.

        Args:
            connection: to the server.
            ways: path, in which `{id}` stands for the track's, -> parameters.
            meaning: from an answer in place of the audio to what it means.
        """
        self._connection = connection
        self._ways = dict(ways)
        self._meaning = meaning

    @contextmanager
    def fetched(
        self, track: SourceTrack, login: Parameters = (), headers: Mapping[str, str] | None = None
    ) -> Iterator[Path]:
        """Yield a temporary file, which is removed at the end.

        Raises:
            UnusableError: this track cannot be had.
            SourceAwayError: none can.
        """
        suffix = "".join(re.findall(r"\.[A-Za-z0-9]{1,5}$", track.path)[:1])
        problem = UnusableError(Fault(NO_AUDIO, lasting=False))
        with ExitStack() as stack:
            path = None
            for way, parameters in list(self._ways.items()):
                place = way.format(id=quote(track.key, safe=""))
                sent = self._connection.file(
                    place, [*login, *parameters], size=track.size, suffix=suffix, headers=headers
                )
                try:
                    path = stack.enter_context(sent)
                    break
                except RefusedError as error:
                    problem = self._problem(way, self._meaning(error))
                except UnusableError as error:
                    if error.fault.reason != WRONG_LENGTH:  # else transcoded, maybe
                        raise
                    problem = error
            if not self._ways:
                raise SourceAwayError(f"{self._connection.address} lets this user fetch no audio.")
            if path is None:
                raise problem
            yield path

    def _problem(self, way: str, refused: RefusedError) -> UnusableError:
        if refused.code in IS_GONE:
            raise UnusableError(Fault(GONE, lasting=False))
        if refused.code in IS_NOT_LOGGED_IN or 300 <= refused.code < 400:
            raise SourceAwayError(refused.message, hint=refused.hint)
        if refused.code in IS_NOT_ALLOWED:
            self._ways.pop(way, None)
        return UnusableError(Fault(NO_AUDIO, limited(refused.message), lasting=False))
