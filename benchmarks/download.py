"""Compare `unisono download` with curl, unzip and tar, on this machine, against a server on this machine.

    python -m benchmarks.download [--megabytes 1000] [--small-files 10000] [--share 1] [--rounds 5]

Print the shortest wall and CPU times of both and their ratios for each comparison (above 1: unisono takes less). The
server runs in a process of its own and sends files with `sendfile`. Everything is written to a temporary folder.
"""

import argparse
import hashlib
import http.server
import math
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from unisono.sources.base import RemoteFile
from unisono.sources.download.transfer import Transfer
from unisono.sources.download.unpack import Unpacker
from unisono.sources.download.web import TransferPolicy, Web


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--small-files", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=1, help="share of the archives' files that are packed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--place", help="folder to work in, on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        place = Path(folder)
        server = subprocess.Popen([sys.executable, __file__, "serve", folder], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            large_file(place, url, options.megabytes, options.rounds)
            small_files(place, url, options.small_files)
            server.terminate()
            unpacking(place, options.share, options.rounds)
        finally:
            server.kill()


def large_file(place: Path, url: str, megabytes: int, rounds: int) -> None:
    """Measure one large file: curl, which does not hash; curl and then the checksum; unisono, which hashes as it writes."""
    source, ours, theirs = place / "large", place / "ours", place / "theirs"
    with source.open("wb") as large:
        for _ in range(megabytes):
            large.write(os.urandom(1_000_000))

    def curl() -> None:
        subprocess.run(["curl", "-s", "-o", theirs, f"{url}/large"], check=True)

    for kind in ("sha256", "sha1", "md5"):
        with source.open("rb") as file:
            checksum = f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
        remote = RemoteFile(name="ours", urls=(f"{url}/large",), size=megabytes * 1_000_000, checksum=checksum)

        def transfer(remote: RemoteFile = remote) -> None:
            Transfer(remote, ours, Web(TransferPolicy(), 1)).run()

        def curl_and_hash(kind: str = kind) -> None:
            curl()
            with theirs.open("rb") as file:
                hashlib.file_digest(file, kind)

        def fresh() -> None:
            ours.unlink(missing_ok=True)
            theirs.unlink(missing_ok=True)

        best = race({"unisono": transfer, "curl": curl, "curl, then hash": curl_and_hash}, rounds, fresh)
        report(f"{megabytes} MB, {kind}", best, megabytes * 1e6)
    source.unlink()
    fresh()


def small_files(place: Path, url: str, count: int) -> None:
    """Measure many small files over four connections; curl gets all addresses in one call and reuses its connections."""
    content = random.Random(1).randbytes(2000)
    (place / "small").write_bytes(content)
    checksum = "sha256:" + hashlib.sha256(content).hexdigest()
    remotes = [
        RemoteFile(name=str(number), urls=(f"{url}/small?{number}",), size=2000, checksum=checksum)
        for number in range(count)
    ]
    for folder in ("ours", "theirs"):
        (place / folder).mkdir()

    def transfer() -> None:
        web = Web(TransferPolicy(), 4)
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda remote: Transfer(remote, place / "ours" / remote.name, web).run(), remotes):
                pass

    def curl() -> None:
        config = "".join(
            f'url = "{url}/small?{number}"\noutput = "{place}/theirs/{number}"\n' for number in range(count)
        )
        command = ["curl", "-s", "--parallel", "--parallel-max", "4", "--config", "-"]
        subprocess.run(command, input=config, text=True, check=True)

    best = race({"unisono": transfer, "curl --parallel": curl}, 1, lambda: None)
    connections = subprocess.run(
        ["curl", "-s", f"{url}/connections"], capture_output=True, text=True, check=True
    ).stdout
    report(f"{count:,} files of 2 kB", best, count * 2000)
    print(f"  connections that the server saw, both together: {connections}")
    for folder in ("ours", "theirs"):
        shutil.rmtree(place / folder)


def unpacking(place: Path, share: float, rounds: int) -> None:
    """Measure archives as upstream publishes them: large mp3 files, many small files, text that compresses."""
    some, few, many, waves = (math.ceil(share * count) for count in (300, 60, 10_000, 500))
    incompressible = {f"{n % 10:03}/{n:06}.mp3": random.Random(n).randbytes(900_000) for n in range(some)}
    small = {f"{n % 50:03}/{n:06}.mp3": random.Random(n).randbytes(4000) for n in range(many)}
    wave = {f"data/{n}.wav": (random.Random(n).randbytes(1000) + bytes(600)) * 200 for n in range(waves)}
    cases: list[tuple[str, str, dict[str, bytes], str]] = [
        ("bzip2 zip", "0.9 MB (FMA)", dict(list(incompressible.items())[:few]), "bzip2.zip"),
        ("deflated zip", "0.9 MB", incompressible, "deflated.zip"),
        ("stored zip", "4 kB", small, "stored.zip"),
        ("tar", "0.9 MB (MTG-Jamendo)", incompressible, "tar"),
        ("tar", "4 kB", small, "tar"),
        ("tar.gz", "0.3 MB (MusicBench)", wave, "tar.gz"),
    ]
    for format_, file_size, files, kind in cases:
        archive, ours, theirs = place / f"a.{kind}", place / "ours", place / "theirs"
        pack(files, archive, kind)

        def unpack(archive: Path = archive, ours: Path = ours) -> None:
            Unpacker(archive, ours).run()

        def other(archive: Path = archive, theirs: Path = theirs) -> None:
            theirs.mkdir()
            zips = archive.suffix == ".zip"
            subprocess.run(
                ["unzip", "-q", archive, "-d", theirs] if zips else ["tar", "-xf", archive, "-C", theirs], check=True
            )

        def fresh(ours: Path = ours, theirs: Path = theirs) -> None:
            shutil.rmtree(ours, ignore_errors=True)
            shutil.rmtree(theirs, ignore_errors=True)

        name = "unzip" if kind.endswith("zip") else "tar"
        best = race({"unisono": unpack, name: other}, rounds, fresh)
        report(f"{format_}, {len(files):,} files of {file_size}", best, sum(map(len, files.values())))
        fresh()
        archive.unlink()


def pack(files: dict[str, bytes], path: Path, kind: str) -> None:
    if kind.endswith(".zip"):
        methods = {
            "bzip2.zip": zipfile.ZIP_BZIP2,
            "deflated.zip": zipfile.ZIP_DEFLATED,
            "stored.zip": zipfile.ZIP_STORED,
        }
        with zipfile.ZipFile(path, "w", methods[kind]) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for name, content in files.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as tar:
            tar.add(folder, ".")


def race(
    runners: dict[str, Callable[[], None]], rounds: int, fresh: Callable[[], None]
) -> dict[str, tuple[float, float]]:
    """Run all in turn, several times, each from a clean folder; return the least wall and CPU seconds of each."""
    best = dict.fromkeys(runners, (float("inf"), float("inf")))
    for _ in range(rounds):
        for name, run in runners.items():
            fresh()
            os.sync()
            start, start_cpu = time.perf_counter(), cpu_seconds()
            run()
            taken = time.perf_counter() - start, cpu_seconds() - start_cpu
            best[name] = min(best[name][0], taken[0]), min(best[name][1], taken[1])
    return best


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the programs that it has run."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def report(title: str, best: dict[str, tuple[float, float]], size: float) -> None:
    ours, ours_cpu = (max(seconds, 1e-9) for seconds in best["unisono"])
    print(f"{title}: unisono {ours:.2f} s ({size / ours / 1e6:,.0f} MB/s), CPU {ours_cpu:.2f} s")
    for name, (seconds, cpu) in best.items():
        if name != "unisono":
            ratios = f"ratio {seconds / ours:.2f}, of CPU {cpu / ours_cpu:.2f}"
            print(f"  {name}: {seconds:.2f} s, CPU {cpu:.2f} s; {ratios}", flush=True)


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    connections = 0

    def setup(self) -> None:
        super().setup()
        Handler.connections += 1

    def do_GET(self) -> None:
        if self.path == "/connections":
            body = str(Handler.connections).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        outputfile.flush()
        size, sent = os.fstat(source.fileno()).st_size, 0
        while sent < size:
            sent += os.sendfile(self.connection.fileno(), source.fileno(), sent, size - sent)

    def log_message(self, *args: object) -> None:
        pass


def serve(folder: str) -> None:
    os.chdir(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1:2] == ["serve"] else main()
