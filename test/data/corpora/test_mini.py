from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from speechkit.config import ConfigError, validate
from speechkit.data.audio import load_audio
from speechkit.data.corpora import mini
from speechkit.data.corpora.base import find_or_download
from speechkit.data.corpora.mini import ACCENTS, DIGITS, SAMPLING_RATE, VARIANTS, Mini

SIZES = {"num_train": 13, "num_dev": 3, "num_test": 7}


def tiny(**options):
    return Mini.Config(**{**SIZES, **options}).build()


@pytest.fixture(scope="module")
def corpus_dir(tmp_path_factory):
    return tiny().download(tmp_path_factory.mktemp("mini"))


@pytest.fixture
def splits(corpus_dir):
    return tiny().prepare(corpus_dir)


def checksums(folder):
    """SHA-256 of every file below ``folder``, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_byte_follows_from_the_config(corpus_dir, tmp_path):
    script = (
        "import sys; from pathlib import Path; from speechkit.data.corpora.mini import Mini; "
        f"Mini.Config(**{SIZES}).build().download(Path(sys.argv[1]))"
    )
    # A process of its own, with another hash seed: nothing may depend on the order of a set.
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert len(checksums(corpus_dir)) == sum(SIZES.values()) + len(SIZES)
    assert checksums(tmp_path) == checksums(corpus_dir)


def test_another_seed_gives_other_sentences_and_other_audio(splits, tmp_path):
    other = tiny(seed=1)
    cuts = other.prepare(other.download(tmp_path))
    assert {c.supervisions[0].text for c in cuts["train"]} != {c.supervisions[0].text for c in splits["train"]}


def test_a_split_does_not_change_with_the_size_of_another(splits, corpus_dir, tmp_path):
    larger = tiny(num_train=17)
    for split in ("dev", "test"):
        for cut, other in zip(splits[split], larger.prepare(larger.download(tmp_path))[split], strict=True):
            np.testing.assert_array_equal(cut.load_audio(), other.load_audio())


def test_splits_have_the_sizes_asked_for(splits):
    assert {split: len(cuts) for split, cuts in splits.items()} == {"train": 13, "dev": 3, "test": 7}


def test_no_voice_speaks_in_two_splits(splits):
    variants = {split: {cut.supervisions[0].speaker.split("+")[1] for cut in cuts} for split, cuts in splits.items()}
    for split, names in variants.items():
        assert names <= set(VARIANTS[split])
    everything = [variant for names in VARIANTS.values() for variant in names]
    assert len(everything) == len(set(everything))
    assert len(ACCENTS) * len(VARIANTS["train"]) > 400


def test_texts_are_digits_or_commands_in_lower_case():
    rng = np.random.default_rng(5)
    for _ in range(200):
        words = mini.draw_digits(rng).split()
        assert 3 <= len(words) <= 7
        assert set(words) <= set(DIGITS)
        assert re.fullmatch("[a-z]+( [a-z]+)*", mini.draw_command(rng))


def test_the_vocabulary_is_small():
    commands = [word for text in mini.COMMANDS for word in re.sub(r"\{\w+\}", "", text).split()]
    slots = [word for words in mini.SLOTS.values() for phrase in words for word in phrase.split()]
    assert 60 <= len({*DIGITS, *commands, *slots}) <= 90


def test_audio_is_what_the_manifest_says(splits):
    for cut in splits["test"]:
        info = soundfile.info(cut.recording.sources[0].source)
        assert (info.samplerate, info.channels, info.frames) == (SAMPLING_RATE, 1, cut.recording.num_samples)
        audio = load_audio(cut, SAMPLING_RATE)
        assert len(audio) == cut.num_samples
        assert 0.09 < np.abs(audio).max() < 0.95
        assert 0.15 < cut.duration / len(cut.supervisions[0].text.split()) < 1.5


def test_noise_is_as_loud_as_the_config_says(tmp_path):
    """The tenth of the 25 ms frames that is quietest holds noise alone, the whole utterance holds both."""

    def signal_to_noise(snr):
        corpus = tiny(min_snr=snr, max_snr=snr)
        estimates = []
        for cut in corpus.prepare(corpus.download(tmp_path / str(snr)))["train"]:
            audio = cut.load_audio()[0]
            power = np.sort((audio[: len(audio) // 400 * 400].reshape(-1, 400) ** 2).mean(1))
            estimates.append(10 * np.log10(power.mean() / power[: len(power) // 10].mean()))
        return np.median(estimates)

    quiet, loud = signal_to_noise(30.0), signal_to_noise(5.0)
    assert quiet > loud + 15
    assert loud == pytest.approx(6, abs=4)  # dB of speech and noise over noise


def test_it_is_spoken_once_and_then_found(tmp_path, monkeypatch):
    monkeypatch.delenv("SPEECHKIT_CORPORA", raising=False)
    assert find_or_download(tiny(), tmp_path / "mini") == tmp_path / "mini"
    monkeypatch.setattr(mini, "speak", None)  # it cannot be spoken any more
    assert find_or_download(tiny(), tmp_path / "mini") == tmp_path / "mini"
    assert tiny().download(tmp_path / "mini") == tmp_path / "mini"


def test_an_interrupted_run_leaves_nothing_and_can_be_repeated(corpus_dir, tmp_path, monkeypatch):
    speak = mini.speak

    def interrupted(sentences):
        yield from speak(sentences[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mini, "speak", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tiny().download(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert tiny().missing(tmp_path) is not None
    tiny().download(tmp_path)
    assert checksums(tmp_path) == checksums(corpus_dir)


def test_it_says_that_it_speaks_and_how_much(tmp_path, capsys):
    tiny().download(tmp_path)
    assert capsys.readouterr().err == "mini: espeak-ng speaks 23 utterances\n"
    tiny().download(tmp_path)
    assert capsys.readouterr().err == ""


def test_two_configs_share_a_folder(corpus_dir, tmp_path):
    for size in (1, 2):
        corpus = tiny(num_train=size)
        corpus.download(tmp_path)
        assert len(corpus.prepare(tmp_path)["train"]) == size
    assert tiny(num_train=3).missing(tmp_path) is not None


def test_snr_bounds_in_the_wrong_order_are_a_config_error():
    with pytest.raises(ConfigError, match=r"min_snr: expected at most max_snr = 3.0, got 10.0"):
        validate(Mini.Config, {"name": "mini", "max_snr": 3})


@pytest.mark.parametrize("key", ["num_train", "num_dev", "num_test"])
def test_a_split_of_nothing_is_a_config_error(key):
    with pytest.raises(ConfigError, match=key):
        validate(Mini.Config, {"name": "mini", key: 0})


def test_one_voice_says_everything_at_its_own_level_without_noise(tmp_path):
    corpus = tiny(voice="en-us+f3")
    splits = corpus.prepare(corpus.download(tmp_path))
    cuts = [cut for split in splits.values() for cut in split]
    assert {cut.supervisions[0].speaker for cut in cuts} == {"en-us+f3"}
    assert len({cut.supervisions[0].text for cut in cuts}) > 15
    peaks = [np.abs(cut.load_audio()).max() for cut in cuts]
    assert max(peaks) < 2 * min(peaks)
    quietest = [np.sort(np.abs(cut.load_audio()[0]))[: cut.num_samples // 50].max() for cut in cuts]
    assert max(quietest) < 1e-3


def test_the_voice_does_not_move_what_was_spoken_before_there_was_one(tmp_path):
    assert tiny()._folder(tmp_path) == tiny(voice=None)._folder(tmp_path) != tiny(voice="en")._folder(tmp_path)
