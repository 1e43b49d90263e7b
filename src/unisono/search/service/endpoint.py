"""What a route of the API is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from unisono.base.errors import UnisonoError
from unisono.search.service.auth import Auth
from unisono.search.service.metrics import Metrics
from unisono.search.service.searches import Searches
from unisono.search.service.transcoded import Transcoded

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(frozen=True)
class Service:
    """What the routes need."""

    searches: Searches
    auth: Auth | None
    """None: everybody who reaches the service may ask."""
    metrics: Metrics
    transcoded: Transcoded


class StatusError(UnisonoError):
    """A request that is refused with a status of its own."""

    def __init__(self, status: int, message: str, *, hint: str = "", wait_s: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.wait_s = wait_s


@dataclass(frozen=True)
class Endpoint:
    """A route."""

    path: str
    summary: str
    answer: Any
    """Type of the answer; or its media type as text, if it is not JSON."""
    handler: Callable[[Service, Any, "Request"], Any]
    """From the parameters (or the body) to the answer, or a whole response."""
    takes: type[msgspec.Struct]
    """Type of the parameters, or of the body of a POST."""
    method: str
    is_open: bool
    """Whether it is answered without a password."""
    line: str
    """Where requests wait, outside of threads, as they take the cores for a while: see `LINES`."""
