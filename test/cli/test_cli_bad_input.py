"""What a user sees who feeds the command line with each kind of bad input: one line that names it and its remedy."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny

from speechkit.cli.main import main

WAV = "train-4.wav"
FAST = ["train.max_epochs=2", "train.validate_every=0"]


def empty_wav(folder: Path) -> None:
    (folder / "data" / "wavs" / WAV).write_bytes(b"")


def corrupt_wav(folder: Path) -> None:
    path = folder / "data" / "wavs" / WAV
    path.write_bytes(b"\x00\x01" * (path.stat().st_size // 2))


def missing_wav(folder: Path) -> None:
    (folder / "data" / "wavs" / WAV).unlink()


def nan_wav(folder: Path) -> None:
    path = folder / "data" / "wavs" / WAV
    soundfile.write(path, np.full(soundfile.info(path).frames, np.nan, np.float32), tiny.RATE, subtype="FLOAT")


def edit_manifest(folder: Path, edit) -> None:
    path = folder / "data" / "train.jsonl.gz"
    lines = edit(gzip.decompress(path.read_bytes()).decode().splitlines())
    path.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode()))


def with_text(text: str):
    def edit(lines: list[str]) -> list[str]:
        cut = json.loads(lines[0])
        cut["supervisions"][0]["text"] = text
        return [json.dumps(cut), *lines[1:]]

    return lambda folder: edit_manifest(folder, edit)


def no_supervision(folder: Path) -> None:
    edit_manifest(folder, lambda lines: [json.dumps(json.loads(lines[0]) | {"supervisions": []}), *lines[1:]])


def duplicated_id(folder: Path) -> None:
    edit_manifest(folder, lambda lines: [*lines, lines[2]])


def manifest_cut_short(folder: Path) -> None:
    path = folder / "data" / "train.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-200])


def line_cut_short(folder: Path) -> None:
    edit_manifest(folder, lambda lines: [*lines[:-1], lines[-1][:100]])


def missing_manifest(folder: Path) -> None:
    (folder / "data" / "train.jsonl.gz").unlink()


def config_typo(folder: Path) -> None:
    path = folder / "conf.yaml"
    path.write_text(path.read_text().replace("ff_dim", "ff_dmi"))


def broken_yaml(folder: Path) -> None:
    path = folder / "conf.yaml"
    path.write_text(path.read_text() + "train: {max_epochs: 3\n")


@pytest.mark.parametrize(
    "damage, named",
    [
        (missing_wav, [WAV, "train-4", "restore"]),
        (empty_wav, [WAV, "train-4", "0 bytes"]),
        (corrupt_wav, [WAV, "train-4"]),
        (nan_wav, [WAV, "train-4", "finite"]),
        (no_supervision, ["train.jsonl.gz:1", "train-0", "supervision"]),
        (duplicated_id, ["train.jsonl.gz:31", "train-2", "same id"]),
        (manifest_cut_short, ["train.jsonl.gz", "again"]),
        (line_cut_short, ["train.jsonl.gz:30", "again"]),
        (missing_manifest, ["train.jsonl.gz", "prepare"]),
        (config_typo, ["conf.yaml", "encoder.ff_dmi", "ff_dim"]),
        (broken_yaml, ["conf.yaml:11", "YAML"]),
    ],
)
def test_training_on_it_ends_with_one_line(tmp_path, capsys, damage, named):
    conf = str(tiny.write_corpus(tmp_path))
    assert main(["tokenizer", conf]) == 0
    damage(tmp_path)
    capsys.readouterr()
    assert main(["train", conf, "--exp", str(tmp_path / "exp"), *FAST]) == 1
    assert_one_line(capsys.readouterr().err, "train", named)


def test_a_token_outside_the_vocabulary_names_the_cut_and_the_word(tmp_path, capsys):
    conf = str(tiny.write_corpus(tmp_path))
    dev = tmp_path / "data" / "dev.jsonl.gz"
    dev.write_bytes(gzip.compress(gzip.decompress(dev.read_bytes()).replace(b"low", b"middle")))
    assert main(["train", conf, "--exp", str(tmp_path / "exp"), "train.max_epochs=1"]) == 1
    assert_one_line(capsys.readouterr().err, "train", ["cut dev-", "middle", "vocabulary"])


@pytest.mark.parametrize("text", ["", "low " * 400])
def test_a_transcript_that_is_empty_or_does_not_fit_does_not_stop_training(tmp_path, capsys, text):
    conf = str(tiny.write_corpus(tmp_path))
    with_text(text)(tmp_path)
    assert main(["train", conf, "--exp", str(tmp_path / "exp"), *FAST]) == 0
    losses = [row for row in map(json.loads, open(tmp_path / "exp" / "train.jsonl")) if row["event"] == "step"]
    assert all(np.isfinite(row["loss"]) for row in losses)
    assert ("train-0" in capsys.readouterr().err) == bool(text)


def test_preparation_counts_what_it_leaves_out_and_says_why(tmp_path, capsys):
    """The same faults in a folder of somebody's own recordings are counted skips; odd formats are no fault."""
    folder, tone = tmp_path / "mine", 0.3 * np.sin(np.arange(44100) / 20).astype(np.float32)
    folder.mkdir()
    for name in ("stereo", "nan", "silent", *(f"good{i}" for i in range(12))):
        soundfile.write(folder / f"{name}.wav", tone if name != "stereo" else np.stack([tone, tone], 1), 44100)
        (folder / f"{name}.txt").write_text("" if name == "silent" else "one two")
    soundfile.write(folder / "nan.wav", tone * np.nan, 44100, subtype="FLOAT")
    for name, content in (("empty", b""), ("corrupt", b"RIFF\x00\x00WAVE" + b"\x07" * 5000)):
        (folder / f"{name}.wav").write_bytes(content)
        (folder / f"{name}.txt").write_text("three")
    assert main(["prepare", "folder", str(folder), "--to", str(tmp_path / "data")]) == 0
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    for name in ("nan", "silent", "empty", "corrupt"):
        assert name in shown
    kept = b"".join(gzip.decompress(path.read_bytes()) for path in (tmp_path / "data").rglob("*.jsonl.gz"))
    assert b'"good' in kept and b'"stereo' in kept and b'"nan' not in kept and b'"corrupt' not in kept


@pytest.mark.parametrize("name", ["config.yaml", "averaged.safetensors", "tokenizer/tokenizer.yaml"])
@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_model_with_a_missing_or_altered_file_is_refused(finished, tmp_path, capsys, name, damage):
    shutil.copytree(finished / "exp", tmp_path / "exp")
    path = tmp_path / "exp" / name
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes() + b" ")
    assert main(["transcribe", str(tmp_path / "exp"), str(finished / "data" / "wavs" / "test-0.wav")]) == 1
    assert_one_line(capsys.readouterr().err, "transcribe", [name, damage])


def test_results_that_would_overwrite_each_other_are_refused(finished, tmp_path, capsys):
    wav, other = finished / "data" / "wavs" / "test-0.wav", tmp_path / "test-0.flac"
    assert main(["transcribe", str(finished / "exp"), str(wav), str(other), "--to", str(tmp_path / "out")]) == 1
    assert_one_line(capsys.readouterr().err, "transcribe", ["test-0.flac", "both would be", "test-0.txt"])
    shutil.copy(finished / "data" / "dev.jsonl.gz", tmp_path / "test.jsonl.gz")
    shutil.copytree(finished / "exp", tmp_path / "exp")
    assert main(["decode", str(tmp_path / "exp"), f"data.test=[test,{tmp_path / 'test.jsonl.gz'}]"]) == 1
    assert_one_line(capsys.readouterr().err, "decode", ["test.jsonl.gz", "both would be decode/test"])


def test_a_test_set_with_a_duplicated_id_is_refused_before_decoding(finished, tmp_path, capsys):
    manifest = tmp_path / "twice.jsonl.gz"
    lines = gzip.decompress((finished / "data" / "test.jsonl.gz").read_bytes())
    manifest.write_bytes(gzip.compress(lines * 2))
    shutil.copytree(finished / "exp", tmp_path / "exp")
    assert main(["decode", str(tmp_path / "exp"), f"data.test=[{manifest}]"]) == 1
    assert_one_line(capsys.readouterr().err, "decode", ["twice.jsonl.gz:8", "same id"])


def test_going_on_with_other_utterances_is_refused(tmp_path, capsys):
    conf = str(tiny.write_corpus(tmp_path))
    argv = ["train", conf, "--exp", str(tmp_path / "exp"), *FAST]
    assert main(argv) == 0
    with_text("low high low high low")(tmp_path)
    assert main(argv) == 1
    assert_one_line(capsys.readouterr().err, "train", ["other utterances of train", "another --exp"])


def test_one_bad_recording_among_good_ones_is_named_and_the_others_are_transcribed(finished, tmp_path, capsys):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    good = [str(finished / "data" / "wavs" / f"test-{i}.wav") for i in range(2)]
    assert main(["transcribe", str(finished / "exp"), good[0], str(tmp_path / "bad.wav"), good[1]]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2 and "bad.wav" in captured.err


def test_a_full_disk_stops_training_and_keeps_what_was_written(tmp_path, capsys, monkeypatch):
    conf, exp = str(tiny.write_corpus(tmp_path)), tmp_path / "exp"
    assert main(["train", conf, "--exp", str(exp), *FAST, "train.max_steps=4"]) == 0
    before = {path: digest(path) for path in exp.rglob("*") if path.suffix in (".pt", ".safetensors", ".yaml")}

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    shutil.copytree(exp, tmp_path / "other")
    capsys.readouterr()
    for argv in (["average", str(exp)], ["train", conf, "--exp", str(tmp_path / "new"), *FAST]):
        assert main(argv) == 1
        assert_one_line(capsys.readouterr().err, argv[0], ["cannot write: No space left", "free space"])
    assert before == {path: digest(path) for path in before}
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def assert_one_line(err: str, verb: str, named: list[str]) -> None:
    errors = [line for line in err.splitlines() if "error" in line]
    assert len(errors) == 1 and errors[0] == err.splitlines()[-1] and errors[0].startswith(f"speechkit {verb}: error: "), err
    assert all(each in errors[0] for each in named), errors[0]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
