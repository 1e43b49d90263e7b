"""A model behind an OpenAI-compatible server, with pacing, retries, and a limit on every wait."""

import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import requests
import urllib3

from unisono import __version__
from unisono.base.backoff import Patience, retry_after
from unisono.base.errors import UnisonoError
from unisono.base.log import log
from unisono.captions.language_model import MOST_TOKENS, RUN_AGAIN, Messages, NoAnswerError

KEY_VARIABLE = "UNISONO_LLM_KEY"
_LARGEST_ANSWER_BYTES = 1 << 20


class _TryAgainError(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True, kw_only=True)
class AnswerLimits(Patience):
    """Limits of waiting, in seconds."""

    stall: float = 120
    whole: float = 300
    """For one answer, from the question to the last byte."""
    tries: int = 5
    unanswered: int = 5
    """The run ends after this number of questions in a row without an answer."""


class Server:
    """Asks one model; safe to use from several threads."""

    def __init__(
        self, url: str, model: str, *, requests_per_minute: float | None = None, limits: AnswerLimits | None = None
    ) -> None:
        self.model = model
        self.limits = limits or AnswerLimits()
        self._url = url.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self._pace = _Pace(60 / requests_per_minute if requests_per_minute else 0)
        self._lock = threading.Lock()
        self._unanswered = 0
        self._settings: dict[str, Any] = {"temperature": 0, "seed": 0, "max_tokens": MOST_TOKENS}
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"unisono/{__version__}"
        self._session.auth = _key  # also keeps `requests` from taking a password for this host out of ~/.netrc

    def answer(self, messages: Messages) -> str:
        """Return the model's answer.

        Raises:
            NoAnswerError: there is no answer to this question after `limits.tries` tries.
            UnisonoError: no question will be answered.
        """
        failures = 0
        while True:
            self._pace.wait()
            try:
                text = self._ask(messages)
            except _TryAgainError as error:
                failures += 1
                if failures >= self.limits.tries:
                    raise self._unanswerable(str(error)) from error
                self._hold(error, failures)
            except NoAnswerError as error:
                raise self._unanswerable(str(error)) from error
            else:
                with self._lock:
                    self._unanswered = 0
                return text

    def close(self) -> None:
        """End all waits and close the connections."""
        self._pace.stop()
        self._session.close()

    def _hold(self, error: _TryAgainError, failures: int) -> None:
        if error.wait is None:
            self._pace.sleep(self.limits.pause(failures))
            return
        if error.wait > self.limits.longest_wait:
            raise UnisonoError(f"{self._url} asks to wait {error.wait:,.0f} s: {error}.", hint=RUN_AGAIN)
        if error.wait:
            log.debug("%s: %s; waiting %g s", self._url, error, error.wait)
            self._pace.hold(error.wait)

    def _unanswerable(self, reason: str) -> Exception:
        """Count a question without an answer; many in a row mean that the server is at fault."""
        with self._lock:
            self._unanswered += 1
            if self._unanswered >= self.limits.unanswered:
                return UnisonoError(
                    f"{self._url} left {self._unanswered} questions in a row without an answer, the last one as: {reason}.",
                    hint=RUN_AGAIN,
                )
        return NoAnswerError(reason)

    def _ask(self, messages: Messages) -> str:
        settings = dict(self._settings)
        body = {"model": self.model, "messages": messages, **settings}
        deadline = time.monotonic() + self.limits.whole
        timeout = (self.limits.connect, self.limits.stall)
        try:
            with self._session.post(
                self._url, json=body, timeout=timeout, stream=True, allow_redirects=False
            ) as response:
                content = _read(response, deadline)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise UnisonoError(f"{self._url} is no address that can be opened: {error}.") from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise _TryAgainError(f"nothing came for {self.limits.stall:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _TryAgainError(f"the connection failed ({type(error).__name__})") from error
        if response.status_code == 200:
            return _text(content)
        raise self._refusal(response, content, settings)

    def _refusal(self, response: requests.Response, content: bytes, settings: dict[str, Any]) -> Exception:
        """Return the error that a status other than 200 means: for this question, or for all."""
        status = response.status_code
        said = " ".join(content.decode("utf-8", "replace").split())[:200]
        reason = f"HTTP {status} {response.reason or ''}".strip() + (f" ({said})" if said else "")
        if status in (408, 409, 425, 429) or status >= 500:
            return _TryAgainError(reason, retry_after(response.headers))
        if status in (400, 422):
            if unknown := [name for name in settings if name in said]:  # some models refuse some settings
                for name in unknown:
                    self._settings.pop(name, None)
                return _TryAgainError(reason, wait=0)
            return NoAnswerError(reason)
        hint = {
            401: f"Put the server's key into the environment variable {KEY_VARIABLE}.",
            403: f"Put a key that may use this model into the environment variable {KEY_VARIABLE}.",
            404: f"Check --llm-url (it often ends in /v1) and --llm-model {self.model}.",
        }.get(status, "Check --llm-url: it must be the address of the server itself, without a redirection.")
        return UnisonoError(f"{self._url}: {reason}.", hint=hint)


class _Pace:
    """Decides when the next request may start, for all threads together."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def wait(self) -> None:
        """Wait for a turn."""
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    self._next = now + self._interval_s
                    return
                left = self._next - now
            self.sleep(left)

    def hold(self, seconds: float) -> None:
        """Start no request for a number of seconds."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run ends."""
        if self._stopped.wait(seconds):
            raise NoAnswerError("the run has ended")

    def stop(self) -> None:
        """Wake all threads that wait."""
        self._stopped.set()


def _key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        request.headers["Authorization"] = f"Bearer {key}"
    return request


def _read(response: requests.Response, deadline: float) -> bytes:
    content = bytearray()
    for block in response.iter_content(1 << 14):
        content += block
        if len(content) > _LARGEST_ANSWER_BYTES:
            raise NoAnswerError("the answer is far too long")
        if time.monotonic() > deadline:
            raise _TryAgainError("the answer came too slowly")
    return bytes(content)


def _text(content: bytes) -> str:
    try:
        answer = msgspec.json.decode(content)
        choice = answer["choices"][0]
        text = choice["message"]["content"]
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError) as error:
        raise _TryAgainError("the answer is not what such a server sends") from error
    if choice.get("finish_reason") == "length":
        raise NoAnswerError(f"cut off at {MOST_TOKENS} tokens")
    if not isinstance(text, str):
        raise _TryAgainError("the answer has no text")
    return text
