"""Archives from a publisher's address: downloads that resume, checksums, and extraction that is whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import lzma
import shutil
import ssl
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from speechkit.data.corpora.base import CORPORA_ENV

TIMEOUT = 60.0  # seconds without a byte
FRUITLESS_ATTEMPTS = 4  # connections in a row that brought nothing, before we give up
PAUSE = 1.0  # seconds before the second attempt; doubles
_CHUNK = 1 << 20
_BROKEN = (urllib.error.URLError, ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException)


@dataclass(frozen=True)
class Archive:
    """A tar or zip archive at a public address.

    Args:
        url: Where its publisher keeps it.
        checksum: ``md5:<hex>`` or ``sha256:<hex>`` as published. Empty where nobody publishes one: then only the size
            that the server announces and the archive's own CRC are checked.
        strip: How many leading folders of the names in the archive to leave out.
        inner: Patterns of archives inside this one, which are extracted where they lie.
    """

    url: str
    checksum: str = ""
    strip: int = 0
    inner: Sequence[str] = ()

    @property
    def filename(self) -> str:
        return PurePosixPath(self.url).name


def download_and_extract(archive: Archive, target_dir: Path) -> None:
    """Fetch ``archive`` into ``target_dir`` unless it lies there already, extract it there and remove it.

    Raises:
        ConnectionError: no connection; the next call goes on where this one stopped.
        ValueError: the checksum is wrong or the archive is damaged.
    """
    path = fetch(archive, Path(target_dir))
    extract(path, Path(target_dir), strip=archive.strip, inner=archive.inner)
    path.unlink()


# --- fetching -------------------------------------------------------------------------------------------------------


def fetch(archive: Archive, target_dir: Path) -> Path:
    """Download ``archive`` to ``target_dir/<its name>`` and check it; a file that lies there is only checked."""
    path = target_dir / archive.filename
    target_dir.mkdir(parents=True, exist_ok=True)
    if path.exists():
        _verify(path, archive)
        return path
    partial = path.with_name(f"{path.name}.partial")
    _receive_all(archive.url, partial)
    try:
        _verify(partial, archive)
    except ValueError:
        partial.unlink()  # resuming a wrong file would never end
        raise
    return partial.replace(path)


def _verify(path: Path, archive: Archive) -> None:
    if not archive.checksum:
        return
    algorithm, _, expected = archive.checksum.partition(":")
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    got = digest.hexdigest()
    if got != expected:
        raise ValueError(
            f"{path}: {algorithm} of {archive.url}: expected {expected}, got {got}; remove the file if it is still "
            "there and run again"
        )


def _receive_all(url: str, partial: Path) -> None:
    """Connect again and again, each time asking for what ``partial`` still lacks, until it is whole."""
    fruitless = 0
    with _progress(url) as progress:
        while True:
            before = _size(partial)
            try:
                if _receive(url, partial, progress):
                    return
                reason = "the connection was closed early"
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code} {error.reason}"
                if error.code < 500 and error.code not in (408, 429):
                    raise _no_download(url, reason) from None
            except _BROKEN as error:
                reason = str(getattr(error, "reason", None) or error or type(error).__name__)
            fruitless = 0 if _size(partial) > before else fruitless + 1
            if fruitless == FRUITLESS_ATTEMPTS:
                raise _no_download(url, reason)
            time.sleep(PAUSE * 2**fruitless)


def _receive(url: str, partial: Path, progress: Progress) -> bool:
    """Append to ``partial`` what one connection brings; True when nothing is left to come."""
    have = _size(partial)
    request = urllib.request.Request(url, headers={"User-Agent": "speechkit", "Range": f"bytes={have}-"})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing lies behind `have`, so the file is whole, or longer than the publisher's
            raise
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
            return True
        partial.unlink(missing_ok=True)
        return False
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # a server that knows no ranges sends everything again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        progress.update(progress.task_ids[0], total=total, completed=have)
        with open(partial, "ab" if have else "wb") as file:
            _copy(response, file, progress)
    return total is None or _size(partial) == total


def _copy(response: http.client.HTTPResponse, file: IO[bytes], progress: Progress) -> None:
    while chunk := response.read1(_CHUNK):  # read1 hands over what has come, so an abort loses nothing
        file.write(chunk)
        progress.advance(progress.task_ids[0], len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _no_download(url: str, reason: str) -> ConnectionError:
    return ConnectionError(
        f"{url}: cannot download: {reason}; connect to the internet and run again (what has arrived is kept), or get "
        f"the corpus in another way and set {CORPORA_ENV} to the folder that holds it"
    )


@contextlib.contextmanager
def _progress(url: str) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        progress.add_task(PurePosixPath(url).name, total=None)
        yield progress


# --- extracting -----------------------------------------------------------------------------------------------------


def extract(path: Path, target_dir: Path, strip: int = 0, inner: Sequence[str] = ()) -> None:
    """Extract a tar or zip archive into ``target_dir``; folders appear there only when all of the archive is on the disk.

    Args:
        path: The archive, compressed or not.
        target_dir: What it holds already stays; files of the same name are replaced.
        strip: See :class:`Archive`.
        inner: See :class:`Archive`.

    Raises:
        ValueError: the archive is damaged, or a name in it points outside of ``target_dir``.
    """
    staging = Path(tempfile.mkdtemp(prefix=".extract-", dir=target_dir))
    try:
        _unpack(path, staging)
        for pattern in inner:
            for nested in sorted(staging.glob(pattern)):
                _unpack(nested, nested.parent)
                nested.unlink()
        for root in staging.glob("/".join("*" * strip)) if strip else [staging]:
            _merge(root, target_dir)
    finally:
        shutil.rmtree(staging)


def _unpack(path: Path, into: Path) -> None:
    try:
        if zipfile.is_zipfile(path):
            _unpack_zip(path, into)
        else:
            _unpack_tar(path, into)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a full disk, not a bad archive: bzip2 and gzip report their CRC as an OSError without a number
        reason = (str(error) or type(error).__name__).splitlines()[0]
        kind = "zip" if path.suffix == ".zip" else "tar"
        raise ValueError(
            f"{path}: not a whole and safe {kind} archive: {reason}; remove it and download it again"
        ) from None


def _unpack_tar(path: Path, into: Path) -> None:
    with tarfile.open(path) as tar:
        tar.extractall(into, filter="data")
        while tar.fileobj.read(_CHUNK):  # tarfile stops before the CRC of the compressed stream
            pass


def _unpack_zip(path: Path, into: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise zipfile.BadZipFile(f"{name!r} would be extracted outside of the folder")
        archive.extractall(into)


def _merge(source: Path, target: Path) -> None:
    """Move what lies in ``source`` into ``target``: new folders by one rename each, which no interruption can halve."""
    for path in sorted(source.iterdir()):
        there = target / path.name
        if path.is_dir() and there.is_dir():
            _merge(path, there)
        else:
            path.replace(there)
