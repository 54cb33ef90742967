"""The recipes of synthesis: what they ask of `speechkit`, for which a fake stands in."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest
from shell import ROOT, bash, executable, folder, needs_bash  # noqa: F401 - a fixture

RECIPES = sorted(path.parent.relative_to(ROOT / "egs").as_posix() for path in ROOT.glob("egs/*/tts/run.sh"))
pytestmark = needs_bash

SPEECHKIT = """#!/usr/bin/env bash
echo "$*" | tee -a "$CALLS"
[[ $1 != average ]] || { mkdir -p "$2" && echo "sums of $2" >"$2/checksums.json"; }
"""
VOICE = "corpus: {name: ljspeech}\nfeaturizer: {sampling_rate: 8000}\n"


@pytest.fixture
def recipes(folder: Path) -> Path:
    """The real recipes with few layers, a program `speechkit` that only says how it was called, and configs."""
    for name in ("utils", "egs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("data", "exp", "downloads"))
    for layers in (*folder.glob("egs/conf/tts/*models"), *folder.glob("egs/*/tts/conf/*models")):
        shutil.rmtree(layers)
    for layers in ("models", "small_models"):
        write(folder / f"egs/conf/tts/{layers}/fastspeech.yaml", "model: {name: fastspeech, durations: given}\n")
        write(folder / f"egs/conf/tts/{layers}/fastspeech2.yaml", "model: {name: fastspeech2, durations: aligner}\n")
        write(folder / f"egs/conf/tts/{layers}/transformer_tts.yaml", "model: {name: transformer_tts}\n")
        write(folder / f"egs/conf/tts/{layers}/vits.yaml", "model: {name: vits}\ndiscriminator: {name: combined}\n")
    executable(folder / ".venv/bin/speechkit", SPEECHKIT)
    executable(folder / ".venv/bin/python", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    write(folder / "voice.yaml", VOICE)
    write(folder / "vocoder.yaml", VOICE)
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def run(recipes: Path, recipe: str, *arguments: str):
    confs = ["--conf", str(recipes / "voice.yaml"), "--vocoder-conf", str(recipes / "vocoder.yaml")]
    command = shlex.join([f"egs/{recipe}/run.sh", *confs, *arguments])
    return bash(command, recipes, CALLS=str(recipes / "calls"), PYTHONPATH=str(ROOT))


def calls(recipes: Path, recipe: str, *arguments: str) -> list[str]:
    """What a recipe asks of `speechkit`, in order."""
    write(recipes / "calls", "")
    ran = run(recipes, recipe, *arguments)
    assert ran.returncode == 0, ran.stderr
    said = (recipes / "calls").read_text(encoding="utf-8").replace(str(recipes), ".")
    return said.replace("./egs/conf/tts/models/", "").replace("./egs/conf/tts/small_models/", "").splitlines()


FIRST = [
    "prepare ./voice.yaml fastspeech2.yaml --download-only",
    "prepare ./voice.yaml fastspeech2.yaml",
    "tokenizer ./voice.yaml fastspeech2.yaml",
    "train ./voice.yaml fastspeech2.yaml --exp exp/fastspeech2 --fail-if-stopped",
    "average exp/fastspeech2",
]
LAST = ["synthesize exp/fastspeech2", "score exp/fastspeech2", "report exp/fastspeech2"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_goes_from_download_to_report_once(recipes: Path, recipe: str) -> None:
    assert calls(recipes, recipe) == FIRST + LAST
    assert calls(recipes, recipe) == []


def test_a_changed_config_trains_again_and_another_vocoder_only_speaks_again(recipes: Path) -> None:
    calls(recipes, "ljspeech/tts")
    assert calls(recipes, "ljspeech/tts", "vocoder=exp/mine") == ["synthesize exp/fastspeech2 vocoder=exp/mine", *LAST[1:]]
    assert calls(recipes, "ljspeech/tts", "seed=2", "--stop-stage", "4") == [
        "tokenizer ./voice.yaml fastspeech2.yaml seed=2",
        "train ./voice.yaml fastspeech2.yaml seed=2 --exp exp/fastspeech2 --fail-if-stopped",
    ]


def test_a_vocoder_is_trained_on_the_same_corpus_and_speaks(recipes: Path) -> None:
    options = ("--vocoder", "istft", "--vocoder-changes", "vocoder.dim=8 seed=3")
    asked = calls(recipes, "ljspeech/tts", *options, "corpus.num_test=2", "seed=2")
    conf = "./vocoder.yaml ./egs/conf/tts/vocoders/istft.yaml corpus.num_test=2 vocoder.dim=8 seed=3"
    assert asked[:4] == [
        f"prepare {conf} --download-only",
        f"prepare {conf}",
        f"train {conf} --exp exp/istft --fail-if-stopped",
        "average exp/istft",
    ]
    changes = "corpus.num_test=2 seed=2"
    assert asked[4:] == [
        f"tokenizer ./voice.yaml fastspeech2.yaml {changes}",
        f"train ./voice.yaml fastspeech2.yaml {changes} --exp exp/fastspeech2 --fail-if-stopped",
        "average exp/fastspeech2",
        "synthesize exp/fastspeech2 vocoder=exp/istft",
        *LAST[1:],
    ]


def test_a_vocoder_trained_anew_is_heard_and_the_voice_stays(recipes: Path) -> None:
    options = ("--vocoder", "istft", "--vocoder-changes")
    calls(recipes, "ljspeech/tts", *options, "seed=3")
    again = calls(recipes, "ljspeech/tts", *options, "seed=4")
    assert [call.split()[0] for call in again] == ["train", "average", "synthesize", "score", "report"]


def test_a_model_that_makes_waveforms_needs_no_vocoder(recipes: Path) -> None:
    asked = calls(recipes, "ljspeech/tts", "--vocoder", "istft", "--model", "vits")
    assert "synthesize exp/vits" in asked


def test_durations_come_from_a_teacher_which_has_to_be_there(recipes: Path) -> None:
    ran = run(recipes, "ljspeech/tts", "--model", "fastspeech")
    assert ran.returncode == 1 and "exp/transformer_tts; train one first (--model transformer_tts)" in ran.stderr
    calls(recipes, "ljspeech/tts", "--model", "transformer_tts")
    asked = calls(recipes, "ljspeech/tts", "--model", "fastspeech")
    given = "fastspeech.yaml token_durations=exp/fastspeech/durations.jsonl"
    assert asked[1:3] == [
        f"durations exp/transformer_tts ./voice.yaml {given} --to exp/fastspeech/durations.jsonl",
        f"train ./voice.yaml {given} --exp exp/fastspeech --fail-if-stopped",
    ]
    (recipes / "egs/ljspeech/tts/exp/transformer_tts/checksums.json").write_text("others")
    assert calls(recipes, "ljspeech/tts", "--model", "fastspeech")[0].startswith("durations")


def test_durations_that_somebody_has_are_taken(recipes: Path) -> None:
    asked = calls(recipes, "ljspeech/tts", "--model", "fastspeech", "token_durations=mine.jsonl")
    assert not [call for call in asked if call.startswith("durations")]


def test_all_models_have_their_teachers_before_them_and_end_in_a_table(recipes: Path) -> None:
    asked = calls(recipes, "fsdd/tts", "--model", "all", "--exp", "exp/few/any")
    names = ["fastspeech2", "transformer_tts", "vits", "fastspeech"]
    assert [call for call in asked if call.startswith("average")] == [f"average exp/few/{name}" for name in names]
    assert asked[-1] == "report " + " ".join(f"exp/few/{name}" for name in names)


def test_a_recogniser_listens_where_there_is_one(recipes: Path) -> None:
    ran = run(recipes, "mini/tts")
    assert "nobody listens: there is no recogniser in ../asr/exp/ctc" in ran.stdout
    write(recipes / "egs/mini/asr/exp/ctc/checksums.json", "sums")
    assert calls(recipes, "mini/tts") == ["score exp/fastspeech2 --recognizer ../asr/exp/ctc", LAST[-1]]
    write(recipes / "egs/mini/asr/exp/ctc/checksums.json", "of another training")
    assert calls(recipes, "mini/tts")[0].startswith("score")
    assert calls(recipes, "mini/tts", "--recognizer", "none") == LAST[1:]
    ran = run(recipes, "mini/tts", "--recognizer", "exp/nothing")
    assert ran.returncode == 2 and "--recognizer exp/nothing: expected a finished recogniser, found none" in ran.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--model fastspeech3", "--model: expected all or one of: "),
        ("--vocoder hifigan", "did you mean hifigan_v1?"),
        ("--recogniser x", "did you mean --recognizer?"),
        ("--stage 7", "expected one of the stages 0 1 2 3 4 5 6"),
    ],
)
def test_typos_are_refused_with_a_guess(recipes: Path, options: str, said: str) -> None:
    ran = run(recipes, "ljspeech/tts", *options.split())
    assert ran.returncode == 2 and said in ran.stderr
