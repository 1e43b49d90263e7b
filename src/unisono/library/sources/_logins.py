"""What is kept of media servers: what logs a person in (asked for, of the environment, or kept), and how paths are mapped.

What is kept is not the password where the server takes something else: a salted token, or a session that it can revoke.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from unisono.base.errors import DataError
from unisono.base.files import whole_file

PASSWORD_VARIABLE = "UNISONO_SERVER_PASSWORD"
KEY_VARIABLE = "UNISONO_SERVER_KEY"
FILE = "servers.json"
Ask = Callable[[str], str]
"""From a question to what was typed, without showing it."""


class Secret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sent to log in."""

    kind: Literal["password", "token", "key"]
    value: str
    """The password; md5 of password and salt; or an API key or the token of a session."""
    salt: str = ""
    user_id: str = ""
    """At a Jellyfin server."""

    def __repr__(self) -> str:
        return f"Secret({self.kind})"


class KnownServer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of one server."""

    secret: Secret | None = None
    path_map: list[str] = []
    """`FROM=TO`: where the server's folders are on this machine."""


class KnownServers:
    """The file of known servers by address, in the folder of the libraries; readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def get(self, address: str) -> KnownServer:
        """Return what is kept of the server at an address.

        Raises:
            DataError: the file is damaged.
        """
        return self._read().get(address, KnownServer())

    def put(self, address: str, server: KnownServer) -> None:
        """Keep what is known of a server."""
        known = self._read() | {address: server}
        with whole_file(self.path) as partial:
            os.close(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
            partial.write_bytes(msgspec.json.encode(known))

    def _read(self) -> dict[str, KnownServer]:
        try:
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(0o600)
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, KnownServer])
        except FileNotFoundError:
            return {}
        except (msgspec.MsgspecError, OSError) as error:
            raise DataError(
                f"{self.path} cannot be read ({type(error).__name__}).",
                hint="Remove it, and log in again with: unisono library add",
            ) from None


def of_environment() -> Iterator[Secret]:
    """Yield what the environment holds: a key, a password."""
    if key := os.environ.get(KEY_VARIABLE, "").strip():
        yield Secret(kind="key", value=key)
    if password := os.environ.get(PASSWORD_VARIABLE, ""):
        yield Secret(kind="password", value=password)


def asked(ask: Ask, user: str, host: str) -> Secret | None:
    """Return the password of a user, or the API key where no user is named, as typed; None if nothing was typed."""
    typed = ask(f"Password of {user} at {host}: " if user else f"API key for {host}: ").strip("\r\n")
    return Secret(kind="password" if user else "key", value=typed) if typed else None


def how_to_log_in() -> str:
    """Return what a person can do for a login without being asked."""
    return f"Log in with `unisono library add ADDRESS`, or set {PASSWORD_VARIABLE} or {KEY_VARIABLE}."
