"""Archives of a folder, as publishers make them: zip (stored, deflated, bzip2 with mode 0444), tar, tar.gz, 7z."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import py7zr

KINDS = ("stored.zip", "deflated.zip", "bzip2.zip", "tar", "tar.gz", "7z")


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, except the download's own records."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".download" not in path.relative_to(folder).parts
    }


def pack(files: dict[str, bytes], path: Path) -> bytes:
    """Write an archive of the kind that the name ends in, and give its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".zip"):
        how = {"stored": zipfile.ZIP_STORED, "bzip2": zipfile.ZIP_BZIP2}.get(
            path.name.split(".")[-2], zipfile.ZIP_DEFLATED
        )
        with zipfile.ZipFile(path, "w", how) as archive:
            for name, content in files.items():
                info = zipfile.ZipInfo(name, (2017, 5, 9, 12, 30, 10))
                info.external_attr = (stat.S_IFREG | 0o444) << 16
                archive.writestr(info, content, how)
    elif path.name.endswith(".7z"):
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writef(io.BytesIO(content), name)
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = len(content), 0o777, 1_500_000_000
                archive.addfile(entry, io.BytesIO(content))
    return path.read_bytes()
