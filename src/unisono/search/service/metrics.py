"""Counters of the service, as Prometheus reads them."""

from unisono import __version__
from unisono.base.extras import extra

with extra("serve", "The search page"):
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
    from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """What is counted of one service."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter("unisono_requests", "Requests answered.", ("path", "status"), registry=self._registry)
        self._seconds = Histogram(
            "unisono_request_seconds", "Seconds until the answer began.", ("path",), registry=self._registry
        )
        self._tracks = Gauge("unisono_tracks", "Tracks that are searched.", registry=self._registry)
        Gauge("unisono_info", "The program.", ("version",), registry=self._registry).labels(__version__).set(1)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count an answer to a route."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self, tracks: int) -> bytes:
        """Return all counters in Prometheus' text format."""
        self._tracks.set(tracks)
        return generate_latest(self._registry)
