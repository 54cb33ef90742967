from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechkit.config import validate
from speechkit.data.audio import load_audio
from speechkit.data.corpora.folder import Folder
from speechkit.data.cuts import check_cuts, write_cuts

RATE = 8000


def write_audio(path: Path, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(len(path.name)).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate)
    return path


def prepare(folder: Path, **options):
    corpus = validate(Folder.Config, {"name": "folder", **options}).build()
    return corpus.prepare(folder), corpus.report


def texts(splits) -> dict[str, str]:
    return {cut.id: cut.supervisions[0].text for cuts in splits.values() for cut in cuts}


def one_split(**options) -> dict:
    return {"dev_fraction": 0.0, "test_fraction": 0.0, **options}


# --- layouts --------------------------------------------------------------------------------------------------------


def test_text_files_beside_the_audio(tmp_path):
    write_audio(tmp_path / "ann" / "one.wav")
    write_audio(tmp_path / "bob" / "one.flac", 2.0)
    (tmp_path / "ann" / "one.txt").write_text("  Hello\n world \n")
    (tmp_path / "bob" / "one.txt").write_text("\ufeffgrüße")
    splits, report = prepare(tmp_path, **one_split(speaker_folder=True))
    assert texts(splits) == {"ann-one": "Hello world", "bob-one": "grüße"} and not report.refused
    first = splits["train"]["ann-one"]
    assert first.supervisions[0].speaker == "ann" and first.duration == 1.0
    assert first.recording.sources[0].source == str(tmp_path / "ann" / "one.wav")


@pytest.mark.parametrize(
    "name, content",
    [
        ("transcripts.tsv", 'audio\ttext\tspeaker\na.wav\t"hi she\tann\nsub/b.wav\ttwo\tbob\n'),
        ("transcripts.csv", 'path,sentence,client_id\na.wav,"""hi she",ann\nsub/b.wav,two,bob\n'),
        ("transcripts.csv", 'File,Text,Speaker\r\na,"""hi\r\nshe",ann\r\n\r\nb,two,bob\r\n'),
        ("metadata.csv", 'a|"hi she\nb|two\n'),
        ("metadata.csv", 'a|raw|"hi she\nb|2|two\n'),
        ("metadata.csv", 'file_name|speaker|text\na|ann|"hi she\nb|bob|two\n'),
        ("metadata.jsonl", '{"audio": "a.wav", "text": "\\"hi she"}\n\n{"audio": "b.wav", "text": "two", "more": 1}\n'),
    ],
)
def test_tables_in_the_usual_layouts(tmp_path, name, content):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "sub" / "b.wav")
    (tmp_path / name).write_bytes(content.encode())
    splits, report = prepare(tmp_path, **one_split())
    assert sorted(texts(splits).values()) == ['"hi she', "two"] and not report.refused
    speakers = {cut.supervisions[0].speaker for cut in splits["train"]}
    assert speakers == ({"ann", "bob"} if "ann" in content else {"unknown"})


def test_an_ljspeech_folder_is_read_as_it_is_published(tmp_path):
    write_audio(tmp_path / "wavs" / "LJ001-0001.wav", rate=22050)
    (tmp_path / "metadata.csv").write_text("LJ001-0001|In 1455|In fourteen fifty-five\n")
    splits, _ = prepare(tmp_path, **one_split())
    assert texts(splits) == {"LJ001-0001": "In fourteen fifty-five"}


def test_ids_paths_and_columns_can_be_named(tmp_path):
    write_audio(tmp_path / "audio" / "a.wav")
    elsewhere = write_audio(tmp_path.parent / "elsewhere" / "b.wav")
    table = f"key;where;what\nfirst;audio/a.wav;one, two\nsecond;{elsewhere};three\n"
    (tmp_path / "list.csv").write_text(table)
    columns = {"id": "key", "audio": "where", "text": "what"}
    splits, _ = prepare(tmp_path, **one_split(transcripts="list.csv", separator=";", columns=columns))
    assert texts(splits) == {"first": "one, two", "second": "three"}


def test_cuts_go_through_a_manifest_and_load(tmp_path):
    write_audio(tmp_path / "data" / "a.wav")
    write_audio(tmp_path / "data" / "b.wav", 1.0, 44100, channels=2)
    (tmp_path / "data" / "metadata.csv").write_text("a|one\nb|two\n")
    splits, report = prepare(tmp_path / "data", **one_split())
    write_cuts(splits["train"], tmp_path / "train.jsonl.gz")
    assert check_cuts(tmp_path / "train.jsonl.gz") == 2
    assert [len(load_audio(cut, 16000)) for cut in splits["train"]] == [16000, 16000]
    assert any("1 recordings have several channels" in note for note in report.notes)
    assert any("1 at 8000 Hz, 1 at 44100 Hz" in note for note in report.notes)


# --- what is refused, and counted -----------------------------------------------------------------------------------


@pytest.fixture
def bad(tmp_path) -> Path:
    """One good utterance, and one of every kind that must be refused."""
    for name in ("good", "mute", "hasty", "twin", "unlisted", "cut_short"):
        write_audio(tmp_path / f"{name}.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "corrupt.wav").write_bytes(b"RIFF" + bytes(2000))
    (tmp_path / "cut_short.wav").write_bytes((tmp_path / "cut_short.wav").read_bytes()[:9000])
    soundfile.write(tmp_path / "hollow.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    samples = np.full(RATE, 0.1, np.float32)
    samples[77] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    write_audio(tmp_path / "blink.wav", 0.05)
    write_audio(tmp_path / "sermon.wav", 41.0)
    lines = ["good|yes", "gone|yes", "empty|yes", "corrupt|yes", "cut_short|yes", "hollow|yes", "silent|yes", "nan|yes"]
    lines += ["mute|  ", "hasty|" + "far too long " * 9, "blink|yes", "sermon|yes", "twin|one", "twin|two", "a|b|c|d"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


REASONS = {
    "gone": "missing file",
    "empty": "empty file",
    "corrupt": "unreadable audio",
    "cut_short": "unreadable audio",
    "hollow": "no samples",
    "silent": "silence",
    "nan": "samples not finite",
    "mute": "empty transcript",
    "hasty": "transcript too long",
    "blink": "too short",
    "sermon": "too long",
    "twin": "duplicated id",
    "unlisted": "missing transcript",
    "line 15": "malformed row",
}


def test_every_bad_input_is_refused_once_with_its_reason(bad):
    splits, report = prepare(bad, **one_split())
    assert texts(splits) == {"good": "yes", "twin": "one"}
    assert {item.id: item.reason for item in report.refused} == REASONS and len(report.refused) == len(REASONS)
    by_id = {item.id: item for item in report.refused}
    assert by_id["twin"].source == f"{bad}/metadata.csv:14" and "metadata.csv:13" in by_id["twin"].detail
    assert by_id["nan"].source == f"{bad}/nan.wav" and "1 of 8000" in by_id["nan"].detail
    assert "expected 16044 bytes by its header, got 9000" in by_id["cut_short"].detail


def test_the_report_can_be_written_and_lists_the_refused(bad, tmp_path):
    _, report = prepare(bad, **one_split())
    report.write(tmp_path / "out")
    assert len((tmp_path / "out" / "refused.tsv").read_text().splitlines()) == 1 + len(REASONS)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["refused"]["unreadable audio"] == 2


def test_two_files_of_one_name_are_a_duplicated_id(tmp_path):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "a.flac")
    (tmp_path / "a.txt").write_text("one")
    splits, report = prepare(tmp_path, **one_split())
    assert texts(splits) == {"a": "one"} and report.reasons == {"duplicated id": 1}


def test_a_name_that_fits_two_files_is_no_file(tmp_path):
    write_audio(tmp_path / "ann" / "a.wav")
    write_audio(tmp_path / "bob" / "a.wav")
    (tmp_path / "metadata.csv").write_text("ann/a|one\na|two\n")
    splits, report = prepare(tmp_path, **one_split())
    assert texts(splits) == {"ann-a": "one"}
    assert report.reasons == {"missing file": 1, "missing transcript": 1}


def test_a_transcript_in_another_encoding_is_refused_alone(tmp_path):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "b.wav")
    (tmp_path / "a.txt").write_bytes("grüße".encode("latin-1"))
    (tmp_path / "b.txt").write_text("two")
    splits, report = prepare(tmp_path, **one_split())
    assert texts(splits) == {"b": "two"} and report.reasons == {"unreadable transcript": 1}


def test_bad_json_lines_are_refused_alone(tmp_path):
    write_audio(tmp_path / "a.wav")
    (tmp_path / "transcripts.jsonl").write_text(
        '{"audio": "a.wav", "text": "one"}\n{"audio": "b\n[1]\n{"audio": "c"}\n'
    )
    splits, report = prepare(tmp_path, **one_split())
    assert texts(splits) == {"a": "one"} and report.reasons == {"malformed row": 3}


@pytest.mark.parametrize(
    "options, text", [({"max_char_rate": 5.0}, "six ch"), ({"min_duration": 1.1}, "a"), ({"max_duration": 0.9}, "a")]
)
def test_limits_are_those_of_the_config(tmp_path, options, text):
    write_audio(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text(text)
    assert texts(prepare(tmp_path, **one_split())[0]) == {"a": text}
    with pytest.raises(ValueError, match="no utterance is left for train .*refused: "):
        prepare(tmp_path, **one_split(**options))


# --- what cannot be read at all ---------------------------------------------------------------------------------------


def test_a_missing_folder_or_table_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such folder; put your recordings"):
        prepare(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no audio in it"):
        prepare(tmp_path)
    write_audio(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="list.tsv: no such file"):
        prepare(tmp_path, transcripts="list.tsv")
    with pytest.raises(ValueError, match=r"list\.xlsx: expected transcripts in \.csv, \.tsv or \.jsonl"):
        prepare(tmp_path, transcripts="list.xlsx")


def test_a_table_without_the_columns_says_which_it_has(tmp_path):
    write_audio(tmp_path / "a.wav")
    (tmp_path / "transcripts.tsv").write_text("audio\twords\na.wav\tone\n")
    with pytest.raises(
        ValueError, match=r"tsv:2: expected a column for the transcript .*got audio, words; set `columns`"
    ):
        prepare(tmp_path)
    with pytest.raises(ValueError, match="expected a column 'said' for text, got audio, words"):
        prepare(tmp_path, columns={"text": "said"})


def test_a_table_in_another_encoding_is_named(tmp_path):
    write_audio(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_bytes("a|grüße\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"metadata\.csv: expected UTF-8 text"):
        prepare(tmp_path)


def test_a_complete_folder_needs_no_download(tmp_path):
    corpus = Folder.Config().build()
    with pytest.raises(ValueError, match="no audio in it"):
        corpus.download(tmp_path)
    write_audio(tmp_path / "a.wav")
    assert corpus.missing(tmp_path) is None and corpus.download(tmp_path) == tmp_path


# --- splits ---------------------------------------------------------------------------------------------------------


def many(folder: Path, number: int, speakers: int, first: int = 0) -> None:
    write_audio(folder / "all.wav", 0.2)
    sound = (folder / "all.wav").read_bytes()
    (folder / "all.wav").unlink()
    for i in range(first, first + number):
        (folder / f"u{i}.wav").write_bytes(sound)
    rows = [f"u{i}\thello\tspeaker-{i % speakers}" for i in range(first + number)]
    (folder / "transcripts.tsv").write_text("audio\ttext\tspeaker\n" + "\n".join(rows) + "\n")


def test_fractions_by_utterance_are_about_as_asked_and_stay_when_data_is_added(tmp_path):
    many(tmp_path, 200, speakers=4)
    splits, report = prepare(tmp_path, dev_fraction=0.2, test_fraction=0.1)
    assert 25 <= len(splits["dev"]) <= 55 and 10 <= len(splits["test"]) <= 32
    assert sum(map(len, splits.values())) == 200 and "splits are drawn by id: 0.2 dev, 0.1 test" in report.notes
    before = {cut.id: name for name, cuts in splits.items() for cut in cuts}
    many(tmp_path, 50, speakers=4, first=200)
    splits, _ = prepare(tmp_path, dev_fraction=0.2, test_fraction=0.1)
    after = {cut.id: name for name, cuts in splits.items() for cut in cuts}
    assert len(after) == 250 and before.items() <= after.items()


@pytest.mark.parametrize("split_by, number", [("auto", 25), ("speaker", 7)])
def test_speakers_are_not_divided_between_splits(tmp_path, split_by, number):
    many(tmp_path, 100, speakers=number)
    splits, report = prepare(tmp_path, split_by=split_by, dev_fraction=0.3, test_fraction=0.2)
    speakers = [{cut.supervisions[0].speaker for cut in cuts} for cuts in splits.values()]
    assert sum(map(len, speakers)) == number == len(set.union(*speakers)) and len(splits) > 1
    assert "splits are drawn by speaker: 0.3 dev, 0.2 test" in report.notes


def test_a_split_column_decides(tmp_path):
    for name in "abc":
        write_audio(tmp_path / f"{name}.wav")
    table = "audio\ttext\tsplit\na.wav\tone\ttrain\nb.wav\ttwo\tValidation\nc.wav\tthree\ttest-other\n"
    (tmp_path / "transcripts.tsv").write_text(table)
    splits, _ = prepare(tmp_path)
    assert {name: [cut.id for cut in cuts] for name, cuts in splits.items()} == {
        "train": ["a"],
        "dev": ["b"],
        "test-other": ["c"],
    }
    (tmp_path / "transcripts.tsv").write_text(table.replace("test-other", ""))
    with pytest.raises(ValueError, match="tsv:4: utterance c: expected a split, got none"):
        prepare(tmp_path)


def test_subfolders_decide(tmp_path):
    for name in ("train/a", "train/deep/b", "valid/c", "test/d"):
        write_audio(tmp_path / f"{name}.wav").with_suffix(".txt").write_text("one")
    splits, _ = prepare(tmp_path)
    assert {name: [cut.id for cut in cuts] for name, cuts in splits.items()} == {
        "train": ["train-a", "train-deep-b"],
        "dev": ["valid-c"],
        "test": ["test-d"],
    }
    write_audio(tmp_path / "other" / "e.wav").with_suffix(".txt").write_text("one")
    with pytest.raises(ValueError, match="other: expected all audio below subfolders train, dev, test"):
        prepare(tmp_path)
    assert len(prepare(tmp_path, **one_split(split="fractions"))[0]["train"]) == 5


def test_an_empty_split_is_noted_with_its_option_and_left_out(tmp_path):
    write_audio(tmp_path / "a.wav").with_suffix(".txt").write_text("one")
    splits, report = prepare(tmp_path, **one_split())
    assert list(splits) == ["train"]
    assert "dev has 0 of 1 utterances; for 10 or more, raise dev_fraction (now 0)" in report.notes


def test_a_small_split_is_noted_with_its_numbers(tmp_path):
    many(tmp_path, 30, speakers=4)
    splits, report = prepare(tmp_path, dev_fraction=0.7, test_fraction=0.05)
    assert len(splits["dev"]) >= 10 and not any(note.startswith("dev ") for note in report.notes)
    number = len(splits.get("test", []))
    assert f"test has {number} of 30 utterances; for 10 or more, raise test_fraction (now 0.05)" in report.notes


@pytest.mark.parametrize("mode", ["column", "subfolders"])
def test_a_small_split_that_was_not_drawn_is_noted_too(tmp_path, mode):
    for name in ("train/a", "dev/b"):
        write_audio(tmp_path / f"{name}.wav").with_suffix(".txt").write_text("one")
    if mode == "column":
        (tmp_path / "t.tsv").write_text("audio\ttext\tsplit\ntrain/a.wav\tone\ttrain\ndev/b.wav\ttwo\tdev\n")
    _, report = prepare(tmp_path, **({"transcripts": "t.tsv"} if mode == "column" else {}))
    for name, number in {"dev": 1, "test": 0}.items():
        assert (
            f"{name} has {number} of 2 utterances; for 10 or more, put more there, or set split=fractions"
            in report.notes
        )
