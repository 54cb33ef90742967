from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import socket
import tarfile
import threading
import zipfile

import pytest

from speechkit.data.corpora import download
from speechkit.data.corpora.base import CORPORA_ENV
from speechkit.data.corpora.download import Archive, download_and_extract, extract, fetch

CONTENT = bytes(range(256)) * 997  # no power of two, so that off-by-one errors show


class Publisher(http.server.BaseHTTPRequestHandler):
    """Serves ``content`` in the manner that ``server.manner`` says; ``server.starts`` keeps where each answer began."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if server.manner == "no ranges" or server.manner == "no length":
            start = 0
        server.starts.append(start)
        if server.errors:
            return self.send_error(server.errors.pop(0))
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            return self.end_headers()
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if server.manner != "no length":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cut.pop(0)] if server.cut else body)


@pytest.fixture
def publisher(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "TIMEOUT", 5.0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    server.content, server.manner, server.starts, server.cut, server.errors = CONTENT, "", [], [], []
    server.url = f"http://127.0.0.1:{server.server_port}/speech.tar.gz"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def md5(content):
    return "md5:" + hashlib.md5(content).hexdigest()


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("checksum", [md5(CONTENT), sha256(CONTENT), ""])
@pytest.mark.parametrize("manner", ["", "no ranges", "no length"])
def test_a_file_arrives_whole(publisher, tmp_path, checksum, manner):
    publisher.manner = manner
    path = fetch(Archive(publisher.url, checksum), tmp_path / "new")
    assert path == tmp_path / "new/speech.tar.gz"
    assert path.read_bytes() == CONTENT
    assert os.listdir(tmp_path / "new") == ["speech.tar.gz"]


def test_a_download_goes_on_where_an_earlier_one_stopped(publisher, tmp_path):
    (tmp_path / "speech.tar.gz.partial").write_bytes(CONTENT[:1234])
    assert fetch(Archive(publisher.url, md5(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert publisher.starts == [1234]


def test_a_server_without_ranges_sends_everything_again(publisher, tmp_path):
    publisher.manner = "no ranges"
    (tmp_path / "speech.tar.gz.partial").write_bytes(b"x" * 1234)
    assert fetch(Archive(publisher.url, md5(CONTENT)), tmp_path).read_bytes() == CONTENT


def test_a_partial_file_that_is_whole_needs_no_more(publisher, tmp_path):
    (tmp_path / "speech.tar.gz.partial").write_bytes(CONTENT)
    assert fetch(Archive(publisher.url, md5(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert publisher.starts == [len(CONTENT)]


def test_a_partial_file_that_is_too_long_is_thrown_away(publisher, tmp_path):
    (tmp_path / "speech.tar.gz.partial").write_bytes(CONTENT + b"x")
    assert fetch(Archive(publisher.url, md5(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert publisher.starts == [len(CONTENT) + 1, 0]


def test_broken_connections_are_made_again_as_long_as_each_brings_something(publisher, tmp_path):
    publisher.cut = [1000] * 10  # more than the attempts that may bring nothing
    assert fetch(Archive(publisher.url, md5(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert publisher.starts == [1000 * number for number in range(11)]


def test_connections_that_bring_nothing_end_in_an_error_that_keeps_what_came(publisher, tmp_path):
    publisher.cut = [1000, *[0] * 20]
    with pytest.raises(ConnectionError, match=rf"speech\.tar\.gz: cannot download.*kept.*set {CORPORA_ENV}"):
        fetch(Archive(publisher.url, md5(CONTENT)), tmp_path)
    assert os.listdir(tmp_path) == ["speech.tar.gz.partial"]
    assert (tmp_path / "speech.tar.gz.partial").read_bytes() == CONTENT[:1000]
    publisher.cut = []
    assert fetch(Archive(publisher.url, md5(CONTENT)), tmp_path).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(publisher, tmp_path):
    publisher.errors = [503, 429, 500]
    assert fetch(Archive(publisher.url, md5(CONTENT)), tmp_path).read_bytes() == CONTENT


def test_an_address_that_is_gone_is_said_at_once(publisher, tmp_path):
    publisher.errors = [404] * 20
    with pytest.raises(ConnectionError, match=r"speech\.tar\.gz: cannot download: HTTP 404 Not Found"):
        fetch(Archive(publisher.url), tmp_path)
    assert len(publisher.starts) == 1


def test_no_network_is_an_error_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(download, "PAUSE", 0.0)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # a port on which nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/speech.tar.gz"
        with pytest.raises(
            ConnectionError, match=rf"{url}: cannot download: .*refused.*; connect .* set {CORPORA_ENV}"
        ):
            fetch(Archive(url), tmp_path)


def test_a_wrong_checksum_is_an_error_and_the_file_does_not_stay(publisher, tmp_path):
    expected = "0" * 32
    got = hashlib.md5(CONTENT).hexdigest()
    with pytest.raises(ValueError, match=rf"speech\.tar\.gz.*expected {expected}, got {got}"):
        fetch(Archive(publisher.url, f"md5:{expected}"), tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_file_of_the_user_is_checked_but_not_removed(publisher, tmp_path):
    (tmp_path / "speech.tar.gz").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"speech\.tar\.gz: md5 .*remove the file"):
        fetch(Archive(publisher.url, md5(CONTENT)), tmp_path)
    assert (tmp_path / "speech.tar.gz").read_bytes() == b"half"
    (tmp_path / "speech.tar.gz").write_bytes(CONTENT)
    fetch(Archive(publisher.url, md5(CONTENT)), tmp_path)
    assert publisher.starts == []


# --- extracting


def tar_gz(path, files, links=()):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return path


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_an_archive_is_downloaded_extracted_and_removed(publisher, tmp_path):
    publisher.content = tar_gz(tmp_path / "source.tar.gz", {"waves/a.wav": b"aa", "waves/b.wav": b"b"}).read_bytes()
    target = tmp_path / "corpus"
    download_and_extract(Archive(publisher.url, md5(publisher.content)), target)
    assert tree(target) == {"waves/a.wav": b"aa", "waves/b.wav": b"b"}


def test_parts_are_extracted_beside_each_other(tmp_path):
    target = tmp_path / "corpus"
    target.mkdir()
    for part, text in (("train", b"old"), ("dev", b"new")):
        extract(tar_gz(tmp_path / part, {f"Libri/{part}/1/a.flac": b"a", "Libri/README": text}), target)
    assert tree(target) == {"Libri/README": b"new", "Libri/dev/1/a.flac": b"a", "Libri/train/1/a.flac": b"a"}


def test_leading_folders_are_left_out(tmp_path):
    archive = tar_gz(tmp_path / "a.tgz", {"digits-1.0/recordings/a.wav": b"a", "digits-1.0/README": b"r"})
    (tmp_path / "corpus").mkdir()
    extract(archive, tmp_path / "corpus", strip=1)
    assert tree(tmp_path / "corpus") == {"recordings/a.wav": b"a", "README": b"r"}


def test_archives_in_the_archive_are_extracted_where_they_lie(tmp_path):
    inner = tar_gz(tmp_path / "inner", {"train/S1/a.wav": b"a"}).read_bytes()
    other = tar_gz(tmp_path / "other", {"dev/S2/b.wav": b"b"}).read_bytes()
    archive = tar_gz(tmp_path / "a.tgz", {"data/wav/S1.tar.gz": inner, "data/wav/S2.tar.gz": other, "data/t.txt": b"t"})
    (tmp_path / "corpus").mkdir()
    extract(archive, tmp_path / "corpus", inner=["data/wav/*.tar.gz"])
    assert tree(tmp_path / "corpus") == {
        "data/t.txt": b"t",
        "data/wav/dev/S2/b.wav": b"b",
        "data/wav/train/S1/a.wav": b"a",
    }


def damaged(content, how):
    if how == "cut short":
        return content[: len(content) * 2 // 3]
    if how == "flipped":
        return content[:-6] + bytes([content[-6] ^ 1]) + content[-5:]  # in gzip's own CRC
    return b"<html>sign in first</html>"


@pytest.mark.parametrize("how", ["cut short", "flipped", "no archive"])
def test_a_damaged_archive_is_named_and_leaves_nothing(tmp_path, how):
    whole = tar_gz(tmp_path / "a.tgz", {f"waves/{number}.wav": os.urandom(9000) for number in range(9)}).read_bytes()
    (tmp_path / "a.tgz").write_bytes(damaged(whole, how))
    (tmp_path / "corpus").mkdir()
    with pytest.raises(ValueError, match=r"a\.tgz: not a whole and safe tar archive.*download it again"):
        extract(tmp_path / "a.tgz", tmp_path / "corpus")
    assert list((tmp_path / "corpus").iterdir()) == []


@pytest.mark.parametrize(("files", "links"), [({"../evil": b"x"}, ()), ({}, [("waves/link", "/etc/passwd")])])
def test_an_archive_that_reaches_outside_is_refused(tmp_path, files, links):
    archive = tar_gz(tmp_path / "a.tgz", {"waves/a.wav": b"a", **files}, links)
    (tmp_path / "corpus").mkdir()
    with pytest.raises(ValueError, match=r"a\.tgz: not a whole and safe tar archive"):
        extract(archive, tmp_path / "corpus")
    assert not (tmp_path / "evil").exists()
    assert list((tmp_path / "corpus").iterdir()) == []


def test_the_archives_crc_is_read_to_the_end(tmp_path):
    """Python's tarfile stops at the end-of-archive mark, before gzip's CRC, unless the reader goes on."""
    content = bytearray(gzip.decompress(tar_gz(tmp_path / "a.tgz", {"a.wav": os.urandom(50000)}).read_bytes()))
    packed = bytearray(gzip.compress(bytes(content), compresslevel=0))
    packed[20000] ^= 1  # a stored block: only the CRC can tell
    (tmp_path / "a.tgz").write_bytes(packed)
    (tmp_path / "corpus").mkdir()
    with pytest.raises(ValueError, match="not a whole and safe tar archive"):
        extract(tmp_path / "a.tgz", tmp_path / "corpus")


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_a_zip_archive_is_extracted(tmp_path):
    make_zip(tmp_path / "speech.zip", {"wav/a.wav": CONTENT, "txt/a.txt": b"a"})
    extract(tmp_path / "speech.zip", tmp_path)
    assert (tmp_path / "wav/a.wav").read_bytes() == CONTENT
    assert (tmp_path / "txt/a.txt").read_bytes() == b"a"


def test_a_damaged_zip_archive_leaves_nothing(tmp_path):
    make_zip(tmp_path / "speech.zip", {"wav/a.wav": os.urandom(9973)})
    content = bytearray((tmp_path / "speech.zip").read_bytes())
    content[5000] ^= 0xFF
    (tmp_path / "speech.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"speech\.zip: not a whole and safe zip archive: .*; remove it and"):
        extract(tmp_path / "speech.zip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["speech.zip"]


def test_a_zip_archive_that_points_outside_is_refused(tmp_path):
    make_zip(tmp_path / "speech.zip", {"../a.txt": b"a"})
    with pytest.raises(ValueError, match=r"'\.\./a\.txt' would be extracted outside"):
        extract(tmp_path / "speech.zip", tmp_path)


@pytest.mark.parametrize("place", [-3, 0.5])
def test_a_bzip2_archive_with_one_wrong_byte_is_refused(tmp_path, place):
    path = tmp_path / "speech.tar.bz2"
    with tarfile.open(path, "w:bz2") as tar:
        for number in range(3):
            info = tarfile.TarInfo(f"wavs/{number}.wav")
            info.size = 99991
            tar.addfile(info, io.BytesIO(os.urandom(info.size)))
    content = bytearray(path.read_bytes())
    content[place if place < 0 else int(place * len(content))] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"speech\.tar\.bz2: not a whole and safe tar archive"):
        extract(path, tmp_path)
