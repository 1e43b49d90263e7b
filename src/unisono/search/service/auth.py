"""Who may ask: a password for people, kept as its scrypt hash, and a token for programs, kept as its SHA-256.

A session is a cookie signed with a key that belongs to the password: when the password changes, all sessions end. Sessions
that a person ended are remembered until they would have expired.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from unisono.base.errors import DataError, UnisonoError, UsageError
from unisono.base.files import whole_file

SHORTEST_PASSWORD = 8
SESSION_S = 30 * 86400
FREE_TRIES = 5
"""Wrong passwords of one address before it has to wait."""
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 900.0
MOST_ADDRESSES = 10_000
COST, BLOCK = 2**15, 8
"""scrypt's n and r: 32 MiB, and about 0.1 s."""


class Secrets(msgspec.Struct, kw_only=True):
    """What the file holds."""

    password: str = ""
    """`salt:hash`, in hexadecimal digits; empty if there is none."""
    token: str = ""
    """SHA-256 of the token; empty if there is none."""
    key: str = msgspec.field(default_factory=lambda: secrets.token_hex(32))
    ended: dict[str, float] = {}
    """Session -> when it would have expired, in seconds since 1970."""


class TooManyTriesError(UnisonoError):
    """This address must wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Too many wrong passwords; try again in {wait_s:.0f} s.")
        self.wait_s = wait_s


class Auth:
    """The password and the token of a service, in a file that only its owner may read. Safe to use from several threads."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Read the file, if it is there.

        Raises:
            DataError: it is damaged.
        """
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, tuple[int, float]] = {}
        self._seen: tuple[int, int] | None = None
        self._kept = Secrets()

    @property
    def _secrets(self) -> Secrets:
        """The content of the file, read again when another process has replaced it."""
        try:
            state = self.path.stat()
            if self._seen != (state.st_mtime_ns, state.st_ino):
                self._kept = msgspec.json.decode(self.path.read_bytes(), type=Secrets)
                self._seen = state.st_mtime_ns, state.st_ino
        except FileNotFoundError:
            if self._seen is not None:  # never fall back to "no password"
                raise DataError(f"{self.path} is gone.") from None
        except (OSError, msgspec.DecodeError) as error:
            raise DataError(
                f"{self.path} cannot be read: {error}.", hint="Remove it, and set the password again."
            ) from error
        return self._kept

    def _write(self, changed: Secrets) -> None:
        with whole_file(self.path) as partial:
            partial.touch(0o600, exist_ok=False)
            partial.write_bytes(msgspec.json.encode(changed))

    @property
    def is_set(self) -> bool:
        """Whether a password or a token is set: then one of them is asked for."""
        return bool(self._secrets.password or self._secrets.token)

    @property
    def has_password(self) -> bool:
        """Whether a password is set."""
        return bool(self._secrets.password)

    def set_password(self, password: str) -> None:
        """Set the password; all sessions end.

        Raises:
            UsageError: it is too short.
        """
        if len(password) < SHORTEST_PASSWORD:
            raise UsageError(f"A password has at least {SHORTEST_PASSWORD} characters.")
        salt = secrets.token_bytes(16)
        with self._lock:
            password = f"{salt.hex()}:{_hash(password, salt)}"
            self._write(msgspec.structs.replace(self._secrets, password=password, ended={}))

    def new_token(self) -> str:
        """Make a token, in place of any earlier one, and return it: only its hash is kept."""
        token = secrets.token_urlsafe(32)
        self.set_token(token)
        return token

    def set_token(self, token: str) -> None:
        """Set the token.

        Raises:
            UsageError: it is too short to resist guessing.
        """
        if len(token) < 20:
            raise UsageError("A token has at least 20 characters.", hint="Make one with: unisono serve --new-token")
        with self._lock:
            self._write(msgspec.structs.replace(self._secrets, token=hashlib.sha256(token.encode()).hexdigest()))

    def is_password(self, password: str) -> bool:
        """Return whether this is the password; if there is none, the token counts as one."""
        kept = self._secrets
        if not kept.password:
            return self.is_token(password)
        salt, _, wanted = kept.password.partition(":")
        return hmac.compare_digest(_hash(password, bytes.fromhex(salt)), wanted)

    def is_token(self, token: str) -> bool:
        """Return whether this is the token."""
        kept = self._secrets.token
        return bool(kept) and hmac.compare_digest(hashlib.sha256(token.encode()).hexdigest(), kept)

    def sign_in(self, password: str, address: str) -> str | None:
        """Return a new session; None if the password is wrong. One address at a time is heard, and not too often.

        Raises:
            TooManyTriesError: this address has to wait.
        """
        with self._lock:
            tries, free_s = self._tries.get(address, (0, 0.0))
            if free_s > self._clock():
                raise TooManyTriesError(free_s - self._clock())
            if self.is_password(password):
                self._tries.pop(address, None)
                return self._session()
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(tries + 1 - FREE_TRIES, 20))
            until_s = self._clock() + wait_s if tries + 1 >= FREE_TRIES else 0.0
            if len(self._tries) >= MOST_ADDRESSES:
                self._tries.pop(next(iter(self._tries)))
            self._tries[address] = tries + 1, until_s
            return None

    def _session(self) -> str:
        said = f"{self._clock() + SESSION_S:.0f}.{secrets.token_urlsafe(18)}"
        return f"{said}.{self._signature(said)}"

    def is_session(self, session: str) -> bool:
        """Return whether a session is one of this password, has not expired, and was not ended."""
        said, _, signature = session.rpartition(".")
        expires, _, _ = said.partition(".")
        if not hmac.compare_digest(self._signature(said).encode(), signature.encode("utf-8", "replace")):
            return False
        return float(expires) > self._clock() and said not in self._secrets.ended

    def end(self, session: str) -> None:
        """End a session."""
        if self.is_session(session):
            said = session.rpartition(".")[0]
            with self._lock:
                ended = {each: at for each, at in self._secrets.ended.items() if at > self._clock()}
                ended[said] = float(said.partition(".")[0])
                self._write(msgspec.structs.replace(self._secrets, ended=ended))

    def _signature(self, said: str) -> str:
        kept = self._secrets
        key = f"{kept.key} {kept.password} {kept.token}".encode()
        return hmac.new(key, said.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _hash(password: str, salt: bytes) -> str:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=COST, r=BLOCK, p=1, maxmem=2 * 128 * COST * BLOCK
    ).hex()
