from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.append(str(Path(__file__).parents[1] / "tasks"))
import tts_toy

from speechkit.cli import synthesize
from speechkit.cli.main import main
from speechkit.models.vocoder import griffin_lim
from speechkit.utils.model_dir import read_json

ROOT, RATE, HOP = Path(__file__).parents[2], 8000, 48
CONVS = "{name: fft, dim: 12, num_layers: 1, num_heads: 3, ff_dim: 14, kernel_sizes: [3, 1]}"
KEPT = f"{CONVS[:-1]}, subsampling: stack, subsampling_factor: 1}}"
GENERATOR = "{name: hifigan, dim: 16, kernel_sizes: [3], dilations: [[1]]}"
DISCRIMINATOR = "discriminator={name: multi_period, periods: [2, 3], dim: 32}"


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """A Griffin-Lim that does next to nothing."""
    full = griffin_lim.griffin_lim
    monkeypatch.setattr(griffin_lim, "griffin_lim", lambda magnitudes, stft, start, *_: full(magnitudes, stft, start, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The manifests of the tiny corpus, and the configs tts.yaml and vocoder.yaml."""
    folder = tmp_path_factory.mktemp("cli_tts")
    for name, conf in (("vocoder", tts_toy.VOCODER), ("tts", tts_toy.TTS)):
        tts_toy.write_corpus(folder, conf).rename(folder / f"{name}.yaml")
    return folder


def make(folder, name, *changes, conf="tts"):
    """A model directory, made by the command line alone."""
    fast = ["train.max_steps=2", "train.validate_every=9", "data.test=[dev]", "normalizer=basic"]
    exp = str(folder / name)
    changes = [*changes, *(fast if conf == "tts" else fast[:3])]
    assert main(["train", str(folder / f"{conf}.yaml"), "--exp", exp, *changes]) == 0
    assert main(["average", exp]) == 0
    return exp


@pytest.fixture(scope="module")
def hifigan(folder):
    return make(folder, "hifigan", conf="vocoder")


@pytest.fixture(scope="module")
def voice(folder):
    return make(folder, "voice", "model=toy_noisy")


WIDTHS = "embedding_dim: 8, encoder_dim: 8, prenet_dims: [8, 8], dim: 8, attention_dim: 8, num_filters: 4, postnet_dim: 8"
FLOWS = "posterior_dim: 6, posterior_layers: 2, num_flows: 2, flow_dim: 6, flow_layers: 1, duration_dim: 6"
VOICES = {
    "fastspeech2": (
        f"model={{name: fastspeech2, durations: aligner, embed_dim: 8, encoder: {CONVS}, decoder: {CONVS}}}",
        "objectives={log_duration: mse, pitch: mse, energy: mse, align: forward_sum}",
        "pitch.min_f0=300",
    ),
    "tacotron2": (
        f"model={{name: tacotron2, reduction_factor: 2, max_token_seconds: 0.05, {WIDTHS}}}",
        "objectives={mel_before: mse, stop: bce, align: guided_attention}",
    ),
    "vits": (
        f"model={{name: vits, decoder: {GENERATOR}, encoder: {KEPT}, embed_dim: 8, latent_dim: 6, n_fft: 128, "
        f"win_length: 128, segment_frames: 7, {FLOWS}}}",
        "objectives={mel: null, kl: nats, duration: nats}",
        DISCRIMINATOR,
    ),
}


@pytest.mark.parametrize("name", VOICES)
def test_real_voices_go_from_a_config_to_speech(folder, hifigan, name, tmp_path):
    exp = make(folder, name, *VOICES[name])
    has_vocoder = name != "vits"
    assert main(["synthesize", exp, *([f"vocoder={hifigan}"] if has_vocoder else []), "--device", "cpu"]) == 0
    facts = read_json(folder / name / "synthesis/dev/synthesis.json")
    assert facts["model"] == name and facts["utterances"] == 5 and facts["vocoder"] == (hifigan if has_vocoder else None)
    row = json.loads((folder / name / "synthesis/dev/utterances.jsonl").read_text().splitlines()[0])
    assert (row["alignment"] is not None) == (name == "tacotron2") and (row["pitch"] is not None) == (name == "fastspeech2")
    if row["alignment"]:
        weights = np.load(folder / name / "synthesis/dev" / row["alignment"])
        assert weights.dtype == np.float16 and weights.shape == (sum(row["token_frames"]), len(row["tokens"]))
    again = []
    for out in ("a.wav", "b.wav"):
        speed = ["--speed", "0.5"] if name == "tacotron2" else []
        assert main(["synthesize", exp, "low high", "-o", str(tmp_path / out), "--seed", "7", *speed]) == 0
        again.append((tmp_path / out).read_bytes())
    assert again[0] == again[1] and len(again[0]) > 44


def test_a_text_becomes_a_file_of_the_format_of_its_name(voice, tmp_path, monkeypatch, capsys):
    (tmp_path / "text").write_text("low high. low")
    monkeypatch.setattr(sys, "stdin", io.StringIO("low high. low"))
    sources = {"a.flac": ["low high. low"], "b.flac": ["--file", str(tmp_path / "text")], "c.flac": ["-"]}
    for out, source in sources.items():
        assert main(["synthesize", voice, *source, "-o", str(tmp_path / out)]) == 0
    assert soundfile.info(tmp_path / "a.flac").samplerate == RATE
    first = (tmp_path / "a.flac").read_bytes()
    assert all((tmp_path / out).read_bytes() == first for out in sources)
    assert capsys.readouterr().out == ""


def test_options_reach_the_voice(voice, tmp_path):
    def length(*options):
        assert main(["synthesize", voice, "low high", "-o", str(tmp_path / "a.wav"), *options]) == 0
        return soundfile.info(tmp_path / "a.wav").frames // HOP

    assert length() == 12 and length("--speed", "2") == 6
    assert length("--pitch", "2", "--temperature", "0", "--speaker", "s", "--vocoder", "griffin_lim") == 12


def test_a_recording_and_styles_reach_a_voice_with_conditions(folder, tmp_path):
    styles = "[{name: style_tokens, num_tokens: 2, num_heads: 1, reference_dim: 5, channels: [3]}]"
    exp = make(folder, "styles", f"model={{name: toy_told, conditions: {styles}}}")
    recording = str(tmp_path / "recording.wav")
    soundfile.write(recording, np.sin(np.arange(4000) / 3), 11025)
    said = set()
    for options in ([], ["--reference", recording], ["--style", "1,0"], ["--style", "0.25,0.75"]):
        assert main(["synthesize", exp, "low", "-o", str(tmp_path / "a.wav"), *options]) == 0
        said.add((tmp_path / "a.wav").read_bytes())
    assert len(said) == 4


def test_the_output_gets_each_sentence_when_it_is_ready(voice, monkeypatch):
    class Pipe(io.BytesIO):
        def flush(self):
            sizes.append(len(self.getvalue()))

    sizes, pipe = [], Pipe()
    monkeypatch.setattr(sys, "stdout", type("Out", (), {"buffer": pipe, "flush": lambda self: None})())
    assert main(["synthesize", voice, "low high. Low", "-o", "-"]) == 0
    frames = [12 + round(0.35 * RATE / HOP), 6]
    assert sizes[:2] == [44 + 2 * HOP * frames[0], 44 + 2 * HOP * sum(frames)]
    samples, rate = soundfile.read(io.BytesIO(pipe.getvalue()), dtype="int16")
    assert rate == RATE and len(samples) == HOP * sum(frames)
    pipe.seek(0)
    pipe.truncate()
    assert main(["synthesize", voice, "low high. Low", "-o", "-", "--raw"]) == 0
    np.testing.assert_array_equal(np.frombuffer(pipe.getvalue(), "<i2"), samples)


def test_the_header_of_a_wav_that_is_not_over_yet():
    header = synthesize.wav_header(22050)
    assert len(header) == 44 and struct.unpack("<HHIIHH", header[20:36]) == (1, 1, 22050, 44100, 2, 16)


def test_sets_are_named_with_their_speed(voice, capsys):
    assert main(["synthesize", voice, "--set", "dev", "train.num_threads=1"]) == 0
    assert capsys.readouterr().out.startswith(f"{voice}/synthesis/dev: 5 utterances, ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["low"], "-o: expected the file to write, or - for the output, got none"),
        (["low", "high", "-o", "a.wav"], "expected one text, got 2 and no file; put quotes around the text"),
        (["low", "-o", "a.wav", "--set", "dev"], "--set: expected no text with it"),
        (["low", "-o", "a.wav", "--raw"], "--raw: expected -o - with it, got -o a.wav"),
        (["low", "-o", "a.strange"], "-o a.strange: expected a name that ends with one of aiff,"),
        (["low", "-o", "a.wav", "data.test=x"], "data.test=x: for a text only vocoder=... can be changed"),
        (["low", "-o", "a.wav", "--seed", "-1"], "--seed: expected 0 or more, got -1"),
        (["low", "-o", "a.wav", "--reference", "gone.wav"], "--reference gone.wav: expected a recording, found none"),
        (
            ["low", "-o", "a.wav", "--style", "0.5;0.5"],
            "--style: expected numbers with commas between them, as 0.7,0.3,0, got",
        ),
        (["--speed", "2"], "--speed: expected a text with it, got none"),
        (["--style", "1"], "--style: expected a text with it, got none"),
        (["-o", "a.wav"], "--out: expected a text with it, got none"),
        (["--file", "gone.txt", "-o", "a.wav"], "gone.txt"),
    ],
)
def test_what_cannot_work_is_said_before_anything_heavy_is_imported(tmp_path, options, message):
    script = (
        "import sys\nfrom speechkit.cli.main import main\n"
        "assert main(sys.argv[1:]) == 1\nassert 'torch' not in sys.modules\n"
    )
    (tmp_path / "exp").mkdir()
    command = [sys.executable, "-c", script, "synthesize", "exp", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stderr
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_errors_of_the_voice_leave_no_file(voice, tmp_path, capsys):
    for options in (["loud"], ["low", "--energy", "2"], ["low", "--speaker", "t"]):
        assert main(["synthesize", voice, *options, "-o", str(tmp_path / "a.wav")]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and "'loud'" in errors[0] and "energy_scale" in errors[1] and "'t'" in errors[2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["task", "acoustic", "vocoder", "discriminator"])
def test_what_voices_are_made_of_is_described(kind, capsys):
    assert main(["describe", kind]) == 0
    wanted = {"task": "tts", "acoustic": "fastspeech2", "vocoder": "hifigan", "discriminator": "multi_period"}
    assert wanted[kind] in capsys.readouterr().out


def test_whole_experiments_of_synthesis_are_described(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    for task, key in (("tts", "vocoder"), ("vocoder", "segment_frames")):
        assert main(["describe", "task", task]) == 0
        assert any(line.split()[:1] == [key] for line in capsys.readouterr().out.splitlines())


def test_a_voice_is_no_recogniser(voice, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), RATE)
    assert main(["transcribe", voice, str(tmp_path / "a.wav")]) == 1
    assert main(["decode", voice]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert all("task: expected asr, got tts" in line for line in errors) and len(errors) == 2
