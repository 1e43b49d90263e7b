"""Fetch several files at the same time: each is received, verified, unpacked, and noted in the ledger."""

import logging
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisono.base.errors import DataError, UnisonoError
from unisono.base.files import whole_file
from unisono.base.log import log
from unisono.base.progress import Progress, progress
from unisono.sources import hub
from unisono.sources.base import RemoteFile
from unisono.sources.download.checksum import RunningChecksum, hash_file
from unisono.sources.download.ledger import Ledger, is_packed
from unisono.sources.download.partial import Content
from unisono.sources.download.plan import size_of
from unisono.sources.download.shards import unpack_shard
from unisono.sources.download.transfer import FetchError, StoppedError, Transfer
from unisono.sources.download.unpack import Unpacker
from unisono.sources.download.web import TransferPolicy, Web

WORTH_A_LINE = 1_000_000
"""The size in bytes from which the arrival of a file is logged; smaller files may come by the thousand."""


@dataclass(frozen=True, kw_only=True)
class FetchSettings:
    """How files are fetched, whichever they are; `download` documents the fields."""

    jobs: int = 4
    timeout_s: float = 60
    retries: int = 8
    from_dir: Path | None = None
    keep_archives: bool = False
    accept_new_checksum: bool = False


def fetch_all(title: str, files: Sequence[RemoteFile], folder: Path, ledger: Ledger, settings: FetchSettings) -> None:
    """Fetch all files into the folder. If one fails, the others are still fetched.

    Raises:
        UnisonoError: some could not be fetched or unpacked; the message says which and why.
        OSError: the disk is full or cannot be written.
    """
    failures: list[UnisonoError] = []
    with progress("bytes") as bars, ThreadPoolExecutor(settings.jobs, "fetch") as pool:
        fetcher = _Fetcher(title, files, folder, ledger, settings, bars)
        futures = [pool.submit(fetcher.bring, file) for file in files]
        try:
            for future in as_completed(futures):
                try:
                    future.result()
                except (FetchError, DataError) as failure:
                    failures.append(failure)
        except BaseException:
            fetcher.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if len(failures) == 1:
        raise failures[0]
    if failures:
        hints = dict.fromkeys(failure.hint for failure in failures if failure.hint)
        reasons = "\n".join(failure.message for failure in failures)
        raise UnisonoError(
            f"{len(failures)} of {len(files)} files could not be fetched.\n{reasons}", hint="\n".join(hints)
        )


class _Fetcher:
    """The state that the threads of one run share."""

    def __init__(
        self,
        title: str,
        files: Sequence[RemoteFile],
        folder: Path,
        ledger: Ledger,
        settings: FetchSettings,
        progress: Progress,
    ) -> None:
        self.folder, self.ledger, self.settings, self.progress = folder, ledger, settings, progress
        self.stop = threading.Event()
        self.web = Web(TransferPolicy(stall=settings.timeout_s, retries=settings.retries), settings.jobs)
        self.fetching = progress.add_task(title, total=sum(map(size_of, files)) or None)
        packed = [file for file in files if is_packed(file)]
        self.unpacking = progress.add_task(
            "unpacking", total=sum(file.unpacked_size for file in packed) or None, visible=bool(packed)
        )

    def bring(self, file: RemoteFile) -> None:
        """Fetch, verify, unpack and note one file."""
        if self.stop.is_set():
            raise StoppedError
        path = self.folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.settings.from_dir is not None:
            path = self._take(file, self.settings.from_dir)
        elif self.ledger.checked(file):
            self._advance(self.fetching, size_of(file))
        elif not self._adopt(file, path):
            self._transfer(file, path)
        if is_packed(file):
            self._unpack(file, path)

    def _transfer(self, file: RemoteFile, path: Path) -> None:
        transfer = Transfer(
            file,
            path,
            self.web,
            advance=lambda count: self._advance(self.fetching, count),
            stop=self.stop,
            headers=hub.credentials(file),
            accept_changed=self.settings.accept_new_checksum,
        )
        content, source = transfer.run()
        self._note(file, content, source, accepted=transfer.accepted)

    def _adopt(self, file: RemoteFile, path: Path) -> bool:
        """Accept a file that somebody else put in place, if its checksum is the published one."""
        if not file.checksum or not path.is_file():
            return False
        size = path.stat().st_size
        if size == (file.size or size):
            content = self._content(file, path)
            if content.checksum == file.checksum:
                self._note(file, content, str(path))
                return True
            self._advance(self.fetching, -size)
        log.warning("%s is not the published file; it is fetched again.", path)
        return False

    def _take(self, file: RemoteFile, source_folder: Path) -> Path:
        """Find and verify a file in the user's folder. A plain file is copied; an archive is left there to be unpacked."""
        candidates = [source_folder / file.name, source_folder / Path(file.name).name]
        source = next((path for path in candidates if path.is_file()), None)
        if source is None:
            raise FetchError(
                f"{file.name} is not in {source_folder}; it is published at {' or '.join(file.urls)}.",
                hint="Put it there, or run the command without --from-dir.",
            )
        content = self._content(file, source)
        is_right = file.size in (0, content.size) and file.checksum in ("", content.checksum)
        if not is_right and not self.settings.accept_new_checksum:
            published = f"{file.size:,} bytes, {file.checksum or 'no checksum'}"
            raise FetchError(
                f"{source} is not the published file: expected {published}; found {content}.",
                hint="Fetch it again; if its publisher has changed it and you trust it, add --accept-new-checksum.",
            )
        if not is_packed(file):
            with whole_file(self.folder / file.name) as partial:
                shutil.copyfile(source, partial)
        self._note(file, content, str(source), accepted=not is_right)
        return source

    def _unpack(self, file: RemoteFile, path: Path) -> None:
        self.progress.update(self.unpacking, description=f"unpacking {path.name}")
        if file.audio_column is not None:
            _, sample = unpack_shard(
                path,
                file.audio_column,
                self.folder / "audio",
                advance=lambda count: self._advance(self.unpacking, count),
            )
        else:
            unpacker = Unpacker(
                path,
                self.folder / (file.unpack_to or "."),
                limit=2 * file.unpacked_size,
                advance=lambda count: self._advance(self.unpacking, count),
            )
            unpacker.run()
            sample = unpacker.sample
        self.ledger.note_unpacked(file, sample, keep=self.settings.keep_archives)
        self.ledger.remove_archive(file)

    def _content(self, file: RemoteFile, path: Path) -> Content:
        digest = RunningChecksum.like(file.checksum, path.stat().st_size)
        hash_file(path, digest, lambda count: self._advance(self.fetching, count))
        return Content(digest.length, str(digest))

    def _note(self, file: RemoteFile, content: Content, source: str, *, accepted: bool = False) -> None:
        self.ledger.note(file, content.size, content.checksum, source, accepted=accepted)
        level = logging.INFO if content.size >= WORTH_A_LINE else logging.DEBUG
        log.log(level, "%s: %s bytes, checked, from %s.", file.name, f"{content.size:,}", source)

    def _advance(self, task: Any, count: int) -> None:
        if self.stop.is_set():
            raise StoppedError
        self.progress.advance(task, count)
