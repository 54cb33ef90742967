"""The recipes: what they ask of `speechkit`, for which a fake stands in."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest
from shell import ROOT, bash, executable, folder, needs_bash  # noqa: F401 - a fixture

RECIPES = sorted(path.parent.relative_to(ROOT / "egs").as_posix() for path in ROOT.glob("egs/*/asr/run.sh"))
pytestmark = needs_bash

SPEECHKIT = """#!/usr/bin/env bash
echo "$*" | tee -a "$CALLS"
[[ $1 != score ]] || { mkdir -p "$2/decode/test" && echo '{"errors": 1, "ref_len": 8}' >"$2/decode/test/wer.json"; }
"""


@pytest.fixture
def recipes(folder: Path) -> Path:
    """The real recipes, without objectives of their own, a program `speechkit` that only says how it was called, and a config."""
    for name in ("utils", "egs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("data", "exp", "downloads"))
    for own in folder.glob("egs/*/asr/conf/objectives"):
        shutil.rmtree(own)
    executable(folder / ".venv/bin/speechkit", SPEECHKIT)
    executable(folder / ".venv/bin/python", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (folder / "conf.yaml").write_text("corpus: {name: yesno}\nencoder: {dim: 5}\n", encoding="utf-8")
    return folder


def speechkit_calls(recipes: Path, recipe: str, *arguments: str) -> list[str]:
    """What a recipe asks of `speechkit`, in order."""
    said = recipes / "calls"
    said.write_text("", encoding="utf-8")
    command = shlex.join([f"egs/{recipe}/run.sh", "--conf", str(recipes / "conf.yaml"), *arguments])
    ran = bash(command, recipes, CALLS=str(said), PYTHONPATH=str(ROOT))
    assert ran.returncode == 0, ran.stderr
    (recipes / "screen").write_text(ran.stdout, encoding="utf-8")
    return said.read_text(encoding="utf-8").replace(str(recipes), ".").splitlines()


ALL = [
    "prepare ./conf.yaml --download-only",
    "prepare ./conf.yaml",
    "tokenizer ./conf.yaml",
    "train ./conf.yaml --exp exp/ctc --fail-if-stopped",
    "average exp/ctc",
    "decode exp/ctc",
    "score exp/ctc",
    "report exp/ctc",
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_goes_from_download_to_report_once(recipes: Path, recipe: str) -> None:
    assert speechkit_calls(recipes, recipe) == ALL
    assert speechkit_calls(recipes, recipe) == []


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("yesno", "fsdd", ALL),
        ("dim: 5", "dim: 7", ALL[2:]),
        ("dim: 5}", "dim: 5}\nsearch: ctc_greedy", ALL[2:]),
        ("dim: 5", "dim:   5", []),
    ],
)
def test_a_changed_config_runs_again_what_depends_on_it(recipes: Path, old: str, new: str, again: list[str]) -> None:
    speechkit_calls(recipes, "yesno/asr")
    config = recipes / "conf.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert speechkit_calls(recipes, "yesno/asr") == again


def test_another_search_only_decodes_again(recipes: Path) -> None:
    speechkit_calls(recipes, "yesno/asr")
    again = speechkit_calls(recipes, "yesno/asr", "search.beam_size=4")
    assert again == ["decode exp/ctc search.beam_size=4", *ALL[-2:]]


def test_overrides_and_another_experiment_reach_every_verb_and_keep_the_manifests(recipes: Path) -> None:
    speechkit_calls(recipes, "yesno/asr")
    again = speechkit_calls(recipes, "yesno/asr", "--exp", "exp/b", "data.features=precomputed", "--stop-stage", "4")
    assert again == [
        "tokenizer ./conf.yaml data.features=precomputed",
        "features ./conf.yaml data.features=precomputed",
        "train ./conf.yaml data.features=precomputed --exp exp/b --fail-if-stopped",
    ]


def test_fsdd_can_leave_each_speaker_out_and_pools_the_errors(recipes: Path) -> None:
    asked = speechkit_calls(
        recipes, "fsdd/asr", "--conf", "conf/ctc.yaml", "--loso", "true", "seed=2", "search.beam_size=4"
    )
    assert len(asked) == 6 * len(ALL)
    without_theo = "seed=2 corpus.split=leave_one_out corpus.held_out=theo"
    assert f"prepare conf/ctc.yaml {without_theo}" in asked
    assert f"train conf/ctc.yaml {without_theo} --exp exp/ctc_without_theo --fail-if-stopped" in asked
    assert "decode exp/ctc_without_theo search.beam_size=4" in asked
    assert (recipes / "screen").read_text(encoding="utf-8").endswith("WER  12.50 %  [6 / 48]\n")


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ("--stage 9", "--stage 9 --stop-stage 6"),
        ("--stage 4 --stop-stage 2", "--stage 4 --stop-stage 2"),
        ("--stage 3 --stop-stage 03", "--stage 3 --stop-stage 3"),
    ],
)
def test_options_that_leave_no_stage_are_refused(recipes: Path, options: str, got: str) -> None:
    ran = bash(f"egs/yesno/asr/run.sh {options}", recipes)
    message = f"expected one of the stages 0 1 2 4 5 6 from --stage to --stop-stage, got none: {got}"
    assert (ran.returncode, ran.stderr) == (2, f"egs/yesno/asr/run.sh: error: {message}\n")


def test_a_misspelled_search_is_noticed_before_anything_is_trained(recipes: Path) -> None:
    for options in ("search.beam_sizes=4", "--stage 4 search=ctc_greedier"):
        ran = bash(f"egs/yesno/asr/run.sh {options}", recipes, CALLS="calls", PYTHONPATH=str(ROOT))
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith("error: conf/ctc.yaml: search") and "did you mean" in ran.stderr
    assert not (recipes / "egs/yesno/asr/exp").exists()
    assert speechkit_calls(recipes, "yesno/asr", "--conf", "conf/ctc.yaml", "search.beam_size=4")[-1] == ALL[-1]


def test_a_search_of_what_is_not_trained_is_noticed_before_anything_is_trained(recipes: Path) -> None:
    ran = bash("egs/yesno/asr/run.sh search=attention_beam", recipes, CALLS="calls", PYTHONPATH=str(ROOT))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: search: attention_beam expected an objective with a decoder that attends")


def test_a_config_with_a_mistake_stops_the_recipe_with_one_line(recipes: Path) -> None:
    (recipes / "conf.yaml").write_text("a: [\n", encoding="utf-8")
    ran = bash("egs/yesno/asr/run.sh --conf ../../../conf.yaml", recipes, CALLS="calls", PYTHONPATH=str(ROOT))
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ../../../conf.yaml:2: not valid YAML") and ran.stderr.count("\n") == 1


def test_an_objective_is_laid_over_the_config_in_an_experiment_of_its_own(recipes: Path) -> None:
    layer = "./egs/conf/asr/objectives/transducer.yaml"
    calls = speechkit_calls(recipes, "yesno/asr", "--objective", "transducer", "seed=2")
    assert calls[1] == f"prepare ./conf.yaml {layer} seed=2"
    assert f"train ./conf.yaml {layer} seed=2 --exp exp/transducer --fail-if-stopped" in calls
    assert calls[-1] == "report exp/transducer"


def test_all_objectives_share_the_manifests_and_end_in_one_table(recipes: Path) -> None:
    layers = sorted((recipes / "egs/conf/asr/objectives").glob("*.yaml"))
    for layer in layers[3:]:
        layer.unlink()
    names = [layer.stem for layer in layers[:3]]
    calls = speechkit_calls(recipes, "yesno/asr", "--objective", "all", "--exp", "exp/few/any")
    assert [call for call in calls if call.startswith("decode")] == [f"decode exp/few/{name}" for name in names]
    assert sum(call.startswith("prepare") for call in calls) == 2
    assert calls[-1] == "report " + " ".join(f"exp/few/{name}" for name in names)


def test_a_recipe_may_have_objectives_of_its_own(recipes: Path) -> None:
    own = recipes / "egs/yesno/asr/conf/objectives"
    own.mkdir()
    (own / "mine.yaml").write_text("seed: 2\n", encoding="utf-8")
    calls = speechkit_calls(recipes, "yesno/asr", "--objective", "mine", "--stage", "4")
    assert calls[0] == "train ./conf.yaml conf/objectives/mine.yaml --exp exp/mine --fail-if-stopped"


def test_an_unknown_objective_is_refused_with_a_guess(recipes: Path) -> None:
    ran = bash(f"egs/yesno/asr/run.sh --conf {shlex.quote(str(recipes / 'conf.yaml'))} --objective transduser", recipes)
    assert ran.returncode == 2 and "got 'transduser', did you mean transducer?" in ran.stderr


def test_a_search_through_a_graph_has_it_made_in_the_experiment_before_training(recipes: Path) -> None:
    config = recipes / "conf.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "search: {name: wfst, graph: graph}\n", encoding="utf-8")
    graph = "graph ./conf.yaml --to exp/ctc/graph"
    assert speechkit_calls(recipes, "mini_librispeech/asr") == [*ALL[:3], graph, *ALL[3:]]
    assert speechkit_calls(recipes, "mini_librispeech/asr", "--stage", "3", "--stop-stage", "3", "--force", "true") == [graph]
    config.write_text("task: asr\ncorpus: {name: mini_librispeech}\n", encoding="utf-8")
    asked = speechkit_calls(recipes, "mini_librispeech/asr", "search=wfst", "search.graph=graph")
    assert graph in asked and "decode exp/ctc search=wfst search.graph=graph" in asked
