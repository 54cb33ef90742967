from __future__ import annotations

import errno
import gzip
import json

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, Recording, SupervisionSegment
from lhotse.cut import MonoCut
from lhotse.testing.dummies import dummy_recording
from lhotse.utils import fastcopy

from speechkit.data.cuts import check_cuts, load_audio, open_cuts, transcript, write_cuts


def cuts_of(number: int, text: str | None = "hello") -> list[MonoCut]:
    return [
        MonoCut(
            f"cut-{i:03d}",
            start=0.0,
            duration=1.0,
            channel=0,
            recording=dummy_recording(i),
            supervisions=[SupervisionSegment(f"cut-{i:03d}", f"rec-{i}", 0.0, 1.0, text=text, speaker="ann")],
        )
        for i in range(number)
    ]


@pytest.fixture(params=["cuts.jsonl", "cuts.jsonl.gz"])
def path(tmp_path, request):
    return tmp_path / request.param


def test_cuts_survive_writing_and_reading(path):
    cuts = cuts_of(7, "größer 你好")
    assert write_cuts(cuts, path) == 7
    lazy = open_cuts(path)
    assert list(lazy) == cuts and list(lazy) == cuts and len(lazy) == 7 and lazy.is_lazy


def test_lhotse_reads_what_we_write_and_we_read_what_lhotse_writes(path):
    cuts = cuts_of(3)
    write_cuts(cuts, path)
    assert list(CutSet.from_file(path)) == cuts
    CutSet.from_cuts(cuts).to_file(path)
    assert list(open_cuts(path)) == cuts


def test_equal_cuts_give_equal_bytes(tmp_path):
    write_cuts(cuts_of(5), tmp_path / "a.jsonl.gz")
    write_cuts(cuts_of(5), tmp_path / "b.jsonl.gz")
    content = (tmp_path / "a.jsonl.gz").read_bytes()
    assert content == (tmp_path / "b.jsonl.gz").read_bytes()
    assert content[3:8] == bytes(5)  # neither name nor time in the gzip header


def test_a_shar_folder_is_opened_with_its_audio(tmp_path):
    samples = np.random.default_rng(0).integers(-9999, 9999, (5, 1700), dtype=np.int16)
    for i, row in enumerate(samples):
        soundfile.write(tmp_path / f"{i}.wav", row, 16000)
    cuts = CutSet.from_cuts(Recording.from_file(tmp_path / f"{i}.wav").to_cut() for i in range(5))
    (tmp_path / "shar").mkdir()
    cuts.to_shar(tmp_path / "shar", fields={"recording": "flac"}, shard_size=2)
    for cut in open_cuts(tmp_path / "shar"):
        np.testing.assert_array_equal(load_audio(cut, 16000), samples[int(cut.id[0])] / np.float32(2**15))


def test_a_folder_without_cuts_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a manifest or a Lhotse Shar folder"):
        open_cuts(tmp_path)


def test_a_missing_manifest_says_what_is_there(tmp_path):
    with pytest.raises(ValueError, match=r"train\.jsonl\.gz: no such manifest.*no manifests.*prepare"):
        open_cuts(tmp_path / "train.jsonl.gz")
    write_cuts(cuts_of(1), tmp_path / "dev.jsonl.gz")
    with pytest.raises(ValueError, match=r"dev\.jsonl\.gz"):
        open_cuts(tmp_path / "train.jsonl.gz")


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cuts\.yaml: expected a manifest ending in"):
        open_cuts(tmp_path / "cuts.yaml")
    with pytest.raises(ValueError, match=r"cuts\.yaml: expected a manifest name"):
        write_cuts([], tmp_path / "cuts.yaml")


def test_a_manifest_cut_short_is_refused_with_its_line(path):
    write_cuts(cuts_of(300), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    cuts = open_cuts(path)
    with pytest.raises(ValueError, match=rf"{path.name}.*cut short or corrupt.*prepare"):
        list(cuts)
    with pytest.raises(ValueError, match="cut short or corrupt"):
        check_cuts(path)


def test_bytes_that_are_no_gzip_are_refused(tmp_path):
    path = tmp_path / "cuts.jsonl.gz"
    path.write_bytes(b"plain text\n")
    with pytest.raises(ValueError, match="corrupt after line 0"):
        check_cuts(path)
    with gzip.open(path, "wb") as file:
        file.write(b'{"id": "\xff"}\n')
    with pytest.raises(ValueError, match="corrupt after line 0"):
        check_cuts(path)


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("{", "expected a JSON object"),
        ("[1, 2]", "not a Lhotse cut"),
        ('{"type": "MonoCut", "id": "x"}', "not a Lhotse cut"),
        (json.dumps({"id": "x", "recording_id": "y", "start": 0, "duration": 1}), "got a SupervisionSegment"),
    ],
)
def test_a_line_that_is_no_cut_is_named(path, line, complaint):
    write_cuts(cuts_of(2), path)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "at") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=rf"{path.name}:3: .*{complaint}"):
        check_cuts(path)


def test_duplicated_ids_are_neither_written_nor_accepted(path):
    cuts = cuts_of(3)
    write_cuts(cuts, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"cut cut-001: two cuts have this id"):
        write_cuts([*cuts, cuts[1]], path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    CutSet([*cuts, cuts[1]]).to_file(path)
    with pytest.raises(ValueError, match=r":4: cut cut-001: line 2 has the same id"):
        check_cuts(path)


def test_a_full_disk_leaves_the_old_manifest_whole(path, monkeypatch):
    write_cuts(cuts_of(3), path)

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match=rf"{path.name}: cannot write: No space left.*free space"):
        write_cuts(cuts_of(7), path)
    assert check_cuts(path) == 3 and list(path.parent.iterdir()) == [path]


def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_manifest_whole(path):
    write_cuts(cuts_of(3), path)

    def filling_up():
        yield from cuts_of(2)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_cuts(filling_up(), path)
    assert check_cuts(path) == 3 and list(path.parent.iterdir()) == [path]


def test_check_counts_good_cuts(path):
    write_cuts(cuts_of(5), path)
    assert check_cuts(path) == 5


def test_check_refuses_an_empty_manifest(path):
    write_cuts([], path)
    with pytest.raises(ValueError, match="has no cuts"):
        check_cuts(path)


def test_check_names_cuts_without_text_or_duration(path):
    write_cuts([*cuts_of(2), fastcopy(cuts_of(1, None)[0], id="mute")], path)
    with pytest.raises(ValueError, match=r":3: cut mute: expected one supervision with text, got one without text"):
        check_cuts(path)
    write_cuts([fastcopy(cuts_of(1)[0], duration=0.0)], path)
    with pytest.raises(ValueError, match=r":1: cut cut-000: expected a duration above 0 s"):
        check_cuts(path)


def test_the_transcript_of_a_cut_is_its_only_supervision():
    cut = cuts_of(1)[0]
    assert transcript(cut) == "hello"
    with pytest.raises(ValueError, match="cut cut-000: expected one supervision with text, got 2 supervisions"):
        transcript(fastcopy(cut, supervisions=cut.supervisions * 2))
