"""`unisono serve`: the page and the API, for this machine or for a network."""

import getpass
import ipaddress
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from unisono.base.errors import UnisonoError, UsageError
from unisono.base.extras import require
from unisono.base.words import counted
from unisono.commands import console
from unisono.commands.music import music_of
from unisono.commands.options import Count, StageOptions
from unisono.tracks.workspace import Workspace

if TYPE_CHECKING:
    from unisono.search.service.auth import Auth
    from unisono.search.service.searches import Searches

PASSWORD, TOKEN = "UNISONO_PASSWORD", "UNISONO_TOKEN"
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, kw_only=True)
class ServeOptions(StageOptions):
    """Options of `unisono serve`."""

    library: tuple[str, ...] = ()
    """Names of the libraries to serve. Default: all in `DATA-ROOT/library`."""
    checkpoint: Path | None = None
    """The model that embeds the descriptions. Default: the one that the libraries are embedded for, or the only best
    checkpoint in `checkpoints/`."""
    model: str | None = None
    """Name of a model that needs no training (`unisono models list`), or a checkpoint."""
    data_dir: Path | None = None
    """Folder of an `embeddings.h5` to serve in place of a library. Default: `DATA-ROOT/processed_embeddings`."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:1, ..."""
    index: str = "exact"
    """What finds the nearest vectors: `exact` compares all, in memory; `exact:FOLDER` keeps them in files of a folder,
    `milvus:FILE.db` and `milvus://HOST:19530` in Milvus. Filled when needed, and again when something has changed."""
    where: tuple[str, ...] = ()
    """Serve only tracks that fulfil these conditions, such as `library=home`."""
    host: str = "127.0.0.1"
    """Address to listen on: this machine alone, or 0.0.0.0 for the network, which needs a password or a token."""
    port: int = 8765
    """Port to listen on."""
    allow_host: tuple[str, ...] = ()
    """Names under which browsers reach the service, such as `nas.local`; IP addresses need not be named."""
    path_prefix: str = ""
    """Path under which a proxy shows the service, such as `/music`."""
    playlists: Path | None = None
    """Folder in which the page saves playlists as files. Default: `DATA-ROOT/playlists`."""
    max_memory: str | None = None
    """The most memory the service may take for its data, such as 2G: what needs more is refused."""
    cores: Count | None = None
    """The most processor cores to use."""
    set_password: Annotated[bool, Parameter(negative="")] = False
    """Ask for a new password, store its hash, and end all sessions; nothing is served."""
    new_token: Annotated[bool, Parameter(negative="")] = False
    """Make a new token for programs and print it; nothing is served."""


def run(options: ServeOptions) -> None:
    """Serve until interrupted, or set the password or the token.

    Raises:
        UsageError: an option is not of the right form, or the network is to be served without a password.
        DataError: there is nothing to search.
        UnisonoError: the memory that is allowed does not suffice, or the port is in use.
    """
    require("serve", "The service", ("starlette", "uvicorn", "prometheus_client", "tinytag"))
    auth = _auth(options)
    if options.set_password or options.new_token:
        return _set(auth, options)
    prefix = _prefix(options.path_prefix)
    if not _is_loopback(options.host) and not auth.is_set:
        raise UsageError(
            f"Whoever reaches {options.host} could listen to this music: set a password first.",
            hint="Type: unisono serve --set-password (for people), unisono serve --new-token (for programs)",
        )
    limit(options.max_memory, options.cores)
    workspace = Workspace(options.data_root)
    is_named = options.library or options.model or options.checkpoint or options.data_dir
    if not is_named and not any(workspace.library.glob("*.sqlite")) and not workspace.embeddings.is_dir():
        raise UsageError(
            f"There is no music in {options.data_root}.",
            hint="Begin a library: unisono library add ~/Music, then: unisono library sync",
        )
    try:
        searches = searches_of(options)
        searches.warm_up()
    except (MemoryError, ImportError) as error:
        if options.max_memory is None:
            raise
        raise UnisonoError(
            f"{options.max_memory} of memory are too little for the program, the model and the music ({error}).",
            hint="Give it more with: --max-memory",
        ) from error
    serve_app(searches, auth, options, prefix)
    return None


def searches_of(options: ServeOptions) -> "Searches":
    """Load the model and the music."""
    from unisono.search.service.searches import Searches

    folder = Path(options.data_root)
    music, model = music_of(
        folder,
        library=options.library,
        model=options.model,
        checkpoint=options.checkpoint,
        data_dir=options.data_dir,
        device=options.device,
        index=options.index,
    )
    return Searches(
        model,
        music,
        where=options.where,
        feedback=folder / "feedback.sqlite",
        playlists=options.playlists or folder / "playlists",
    )


def serve_app(searches: "Searches", auth: "Auth", options: ServeOptions, prefix: str) -> None:
    """Serve until interrupted."""
    from unisono.search.service.server import make_app, serve

    is_local = _is_loopback(options.host)
    hosts = [*options.allow_host, *([] if is_local else [options.host, *own_names()])]
    app = make_app(searches, auth=auth, hosts=hosts, any_address=not is_local, prefix=prefix)

    def announce(address: str) -> None:
        asked = "; a password is asked for" if auth.is_set else ""
        tracks = counted(searches.tracks, "track")
        console.out.print(f"Searching {tracks} at [bold]{address}[/]{asked}; Ctrl-C ends it.", soft_wrap=True)

    serve(app, host=options.host, port=options.port, announce=announce)
    console.out.print("Ended.")


def own_names() -> list[str]:
    """Return the names of this machine in its network."""
    import socket

    name = socket.gethostname()
    return [name, f"{name.partition('.')[0]}.local"]


def _auth(options: ServeOptions) -> "Auth":
    """Return who may ask: as stored, or as the environment says."""
    from unisono.search.service.auth import Auth

    auth = Auth(Path(options.data_root) / "service.json")
    password, token = os.environ.get(PASSWORD, ""), os.environ.get(TOKEN, "")
    if password and not (auth.has_password and auth.is_password(password)):
        auth.set_password(password)
    if token and not auth.is_token(token):
        auth.set_token(token)
    return auth


def _set(auth: "Auth", options: ServeOptions) -> None:
    if options.set_password:
        if sys.stdin.isatty():
            password = getpass.getpass("New password: ")
            if getpass.getpass("Again: ") != password:
                raise UsageError("These were two different passwords.")
        else:
            password = sys.stdin.readline().rstrip("\r\n")
        auth.set_password(password)
        console.log.info("The password is set; all sessions have ended.")
    if options.new_token:
        console.out.print(auth.new_token(), soft_wrap=True, highlight=False)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _prefix(text: str) -> str:
    prefix = "/" + text.strip("/") if text.strip("/") else ""
    if not re.fullmatch(r"[\w./~-]*", prefix) or ".." in prefix:
        raise UsageError(f"--path-prefix must be a path such as /music, found {text!r}.")
    return prefix


def limit(max_memory: str | None, cores: int | None) -> None:
    """Limit this process.

    Raises:
        UsageError: the limit is not of the right form.
    """
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    if max_memory is not None:
        import resource

        found = re.fullmatch(r"(\d{1,12})\s*([KMG]?)i?B?", max_memory.strip(), re.IGNORECASE)
        if not found or not int(found[1]):
            raise UsageError(f"--max-memory must be a size such as 2G or 512M, found {max_memory!r}.")
        size = int(found[1]) * _SIZES[found[2].upper()]
        resource.setrlimit(resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def serve(*, options: ServeOptions = ServeOptions()) -> None:
    """Open a web page and an API to search by description and listen: for this machine, or for a network."""
    run(options)
