"""The set-up, and the run.sh that starts everything. A fake Python installs nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from shell import ROOT, bash, executable, folder, needs_bash  # noqa: F401 - a fixture

pytestmark = needs_bash


# --- the environment ------------------------------------------------------------------------------------------------

# An interpreter that writes down how it is called, makes copies of itself as environments, and installs nothing.
PYTHON = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
  *version_info*) exit "${OLD-0}" ;;
  *_base_executable*) echo "3.11.7 ${NAME-/usr/bin/python3.11}" ;;
  "-m venv "*)
    if [[ -n ${NO_VENV-} ]]; then echo "ensurepip is not available" && exit 1; fi
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m virtualenv "*)
    [[ -n ${VIRTUALENV-} ]] || exit 1
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *importlib.metadata*) exit 1 ;;
  "-m pip install"*"${BROKEN-nothing is}"*) echo "ERROR: ${REASON-no connection}" >&2 && exit 1 ;;
  "--version") echo "Python 3.9.18" ;;
esac
"""
SETUP = f"""
script_name=./run.sh repository=$PWD/checkout
source {shlex.quote(str(ROOT / "utils/parse_options.sh"))}
source {shlex.quote(str(ROOT / "utils/stage.sh"))}
source {shlex.quote(str(ROOT / "utils/setup.sh"))}
uname() {{ echo Linux; }}
has_nvidia() {{ [[ -n ${{GPU-}} ]]; }}
"""
NO_CPU_BUILD = {"BROKEN": "+cpu", "REASON": "No matching distribution found for torch==2.13.0+cpu"}
NO_CPU_BUILD_EITHER = {"BROKEN": "+cpu", "REASON": "ResolutionImpossible: for help visit"}  # pip 23 with a constraint


@pytest.fixture
def checkout(folder: Path) -> Path:
    """What the set-up depends on, and `python3`."""
    path = folder / "checkout"
    path.mkdir()
    (path / "setup.py").write_text('EXTRAS = {\n    "serve": ["fastapi"],\n    "test": TEST,\n}\n', encoding="utf-8")
    (path / "constraints.txt").write_text("torch==2.13.0\nnumpy==2.2.6\n", encoding="utf-8")
    executable(folder / "bin/python3", PYTHON)
    return path


def set_up(checkout: Path, *extras: str, **env: str) -> subprocess.CompletedProcess[str]:
    folder = checkout.parent
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(folder / "calls"), **env}
    return bash(f"{SETUP}\nsetup {' '.join(extras)}", folder, **env)


def calls(checkout: Path) -> list[str]:
    """What Python was asked to do since the last look; of `pip install` only what."""
    path = checkout.parent / "calls"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.write_text("", encoding="utf-8")
    return [line.split("constraints.txt ")[-1] for line in lines if line.startswith("-m")]


def made(checkout: Path) -> list[str]:
    """The last calls, with the environment's path shortened."""
    return [line.replace(str(checkout / ".venv"), "VENV") for line in calls(checkout)]


EDITABLE = "--no-build-isolation --use-pep517 --editable"
WHOLE = ["-m venv VENV", "-m pip --version", "torch==2.13.0+cpu", "setuptools wheel", f"{EDITABLE} .[test]"]


def test_setting_up_is_done_once(checkout: Path) -> None:
    assert set_up(checkout, "test").returncode == 0
    assert made(checkout) == WHOLE
    assert set_up(checkout, "test").stderr == "" == set_up(checkout).stderr
    assert not (checkout.parent / "calls").read_text(encoding="utf-8")


def test_an_extra_is_added_to_what_is_there(checkout: Path) -> None:
    set_up(checkout)
    assert made(checkout)[-1] == f"{EDITABLE} ."
    set_up(checkout, "test")
    assert made(checkout) == [*WHOLE[2:]]


def test_a_changed_pin_is_installed_into_the_same_environment(checkout: Path) -> None:
    set_up(checkout, "test")
    made(checkout)
    (checkout / "constraints.txt").write_text("torch==2.13.0\nnumpy==2.4.6\n", encoding="utf-8")
    set_up(checkout, "test")
    assert made(checkout) == WHOLE[2:]


def test_a_set_up_that_failed_goes_on_where_it_stopped(checkout: Path) -> None:
    ran = set_up(checkout, "test", BROKEN="--editable")
    assert ran.returncode == 1
    assert f"pip could not install {EDITABLE} .[test]; see above, then run again" in ran.stderr
    made(checkout)
    assert set_up(checkout, "test").returncode == 0
    assert made(checkout) == WHOLE[2:]


@pytest.mark.parametrize("damage", ["rm -r .venv/bin", "rm -r .venv && mkdir .venv && touch .venv/pyvenv.cfg"])
def test_a_damaged_environment_is_made_anew(checkout: Path, damage: str) -> None:
    set_up(checkout, "test")
    made(checkout)
    bash(damage, checkout)
    assert "making it anew" in set_up(checkout, "test").stderr
    assert made(checkout) == WHOLE


def test_an_environment_of_another_interpreter_is_made_anew(checkout: Path) -> None:
    set_up(checkout, "test")
    made(checkout)
    other = str(executable(checkout.parent / "other/python3.12", PYTHON.replace("3.11", "3.12")))
    assert "making it anew" in set_up(checkout, "test", PYTHON=other).stderr
    assert made(checkout) == WHOLE
    for wish in ({"PYTHON": other}, {}):  # the interpreter is remembered
        set_up(checkout, "test", **wish)
        assert made(checkout) == []


def test_a_moved_environment_is_made_anew(checkout: Path) -> None:
    set_up(checkout, "test")
    bash(
        "mv checkout elsewhere && mkdir checkout && cp elsewhere/*.* checkout && mv elsewhere/.venv here",
        checkout.parent,
    )
    assert "making it anew" in set_up(checkout, "test", SPEECHKIT_VENV="here").stderr


def test_a_folder_that_is_no_environment_is_left_alone(checkout: Path) -> None:
    precious = checkout.parent / "thesis/chapter.txt"
    precious.parent.mkdir()
    precious.touch()
    executable(checkout.parent / "bin/python3", PYTHON)
    ran = set_up(checkout, SPEECHKIT_VENV="thesis")
    assert ran.returncode == 1 and "expected a working virtual environment or nothing" in ran.stderr
    assert precious.exists()


@pytest.mark.parametrize(
    ("env", "installed", "said"),
    [
        ({}, ["torch==2.13.0+cpu"], "the build without CUDA"),
        (NO_CPU_BUILD, ["torch==2.13.0+cpu", "torch==2.13.0"], "set SPEECHKIT_TORCH_INDEX"),
        (NO_CPU_BUILD_EITHER, ["torch==2.13.0+cpu", "torch==2.13.0"], "set SPEECHKIT_TORCH_INDEX"),
        ({"GPU": "yes"}, ["torch==2.13.0"], "installing torch==2.13.0\n"),
        (
            {"SPEECHKIT_TORCH_INDEX": "file:///wheels"},
            ["--extra-index-url file:///wheels torch==2.13.0"],
            "SPEECHKIT_TORCH_INDEX",
        ),
    ],
)
def test_the_build_of_torch_suits_the_machine(
    checkout: Path, env: dict[str, str], installed: list[str], said: str
) -> None:
    ran = set_up(checkout, "test", **env)
    assert ran.returncode == 0
    assert made(checkout) == [*WHOLE[:2], *installed, *WHOLE[3:]]
    assert said in ran.stderr


def test_a_lost_connection_does_not_bring_the_big_torch(checkout: Path) -> None:
    ran = set_up(checkout, "test", BROKEN="+cpu")
    assert ran.returncode == 1
    assert "ERROR: no connection" in ran.stderr
    assert made(checkout)[-1] == "torch==2.13.0+cpu"


def test_an_old_python_is_named_with_a_remedy(checkout: Path) -> None:
    ran = set_up(checkout, OLD="1", PYTHON="python3")
    assert ran.returncode == 1
    assert "expected Python 3.11 or newer, got python3 is Python 3.9.18; install one" in ran.stderr
    ran = set_up(checkout, PYTHON="/no/such/python")
    assert "got no /no/such/python at all" in ran.stderr


def test_without_the_venv_module_virtualenv_will_do(checkout: Path) -> None:
    ran = set_up(checkout, "test", NO_VENV="yes")
    assert ran.returncode == 1
    assert "ensurepip is not available" in ran.stderr and "sudo apt install python3-venv" in ran.stderr
    made(checkout)
    assert set_up(checkout, "test", NO_VENV="yes", VIRTUALENV="yes").returncode == 0
    assert made(checkout) == ["-m venv VENV", "-m virtualenv VENV", *WHOLE[2:]]


# --- run.sh ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(checkout: Path) -> Path:
    """A checkout with the real run.sh and recipes that only say how they were called."""
    shutil.copy(ROOT / "run.sh", checkout)
    shutil.copytree(ROOT / "utils", checkout / "utils")
    for recipe in ("mini/asr", "yesno/asr", "ljspeech/tts", "ljspeech/vocoder"):
        executable(
            checkout / f"egs/{recipe}/run.sh", f'#!/bin/sh\necho "{recipe}: $*"; echo "$SPEECHKIT_COMMAND"; exit 3\n'
        )
    return checkout


def run(house: Path, arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{house.parent / 'bin'}:{os.environ['PATH']}", "CALLS": str(house.parent / "calls")}
    return bash(f"checkout/run.sh {arguments}", house.parent, **env)


@pytest.mark.parametrize(
    ("arguments", "recipe"),
    [
        ("", "mini/asr: "),
        ("--stage 4 encoder.dim=5", "mini/asr: --stage 4 encoder.dim=5"),
        ("seed=2", "mini/asr: seed=2"),
        ("yesno", "yesno/asr: "),
        ("yesno --force", "yesno/asr: --force"),
        ("yesno asr --exp 'a b'", "yesno/asr: --exp a b"),
        ("ljspeech vocoder", "ljspeech/vocoder: "),
    ],
)
def test_run_finds_the_recipe_and_keeps_its_exit_code(house: Path, arguments: str, recipe: str) -> None:
    ran = run(house, arguments)
    name = recipe.split(":")[0].replace("/", " ")
    assert ran.stdout.splitlines() == [recipe, f"checkout/run.sh {name}"]
    assert ran.returncode == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("yeno", "no corpus is called 'yeno', did you mean yesno?; there are: ljspeech mini yesno"),
        ("tset", "no corpus is called 'tset', did you mean test?; there are: ljspeech mini yesno"),
        ("yes", "no corpus is called 'yes', did you mean yesno?; there are: ljspeech mini yesno"),
        ("ljspeech", "ljspeech: expected a task, one of: tts vocoder; got none"),
        ("yesno asrr", "yesno: expected a task, one of: asr; got asrr, did you mean asr?"),
    ],
)
def test_run_asks_what_was_meant_before_it_sets_up(house: Path, arguments: str, message: str) -> None:
    ran = run(house, arguments)
    assert (ran.returncode, ran.stderr) == (2, f"checkout/run.sh: error: {message}\n")
    assert not (house / ".venv").exists()


def test_a_recipe_checks_its_options_then_sets_up(house: Path) -> None:
    shutil.copytree(ROOT / "egs/yesno/asr", house / "egs/yesno/asr", dirs_exist_ok=True)
    for options, message in (("--stag 4", "unknown option --stag, did you mean --stage?"), ("--stage 9", "expected one of")):
        ran = run(house, f"yesno {options}")
        assert ran.returncode == 2 and ran.stderr.startswith(f"checkout/run.sh yesno asr: error: {message}")
    assert run(house, "yesno --help").stdout.startswith("yesno: one man says")
    assert not (house / ".venv").exists()
    run(house, "yesno --stage 4 seed=2")
    assert (house / ".venv/.speechkit/core").exists()


def test_an_extra_that_setup_py_lacks_is_refused(house: Path) -> None:
    ran = run(house, "setup test tset")
    message = "setup: expected extras of setup.py, from: serve test; got 'tset', did you mean test?"
    assert (ran.returncode, ran.stderr) == (2, f"checkout/run.sh: error: {message}\n")
    assert not (house / ".venv").exists()


def test_help_sets_nothing_up(house: Path) -> None:
    assert "./run.sh test [PYTEST ARGUMENT ...]" in run(house, "--help").stdout
    assert run(house, "yesno asr --help").stdout.startswith("yesno/asr: --help")
    assert not (house / ".venv").exists()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [("", "-m pytest --numprocesses auto --dist worksteal"), ("-x -k 'a or b'", "-m pytest -x -k a or b")],
)
def test_run_test_sets_up_the_test_extra_and_starts_pytest(house: Path, arguments: str, command: str) -> None:
    assert run(house, f"test {arguments}").returncode == 0
    assert made(house)[-2:] == [f"{EDITABLE} .[test]", command]
