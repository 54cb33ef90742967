"""The shell side: options, stages that resume, recipes and the set-up. Fakes stand in for programs that take long."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(path.parent.relative_to(ROOT / "egs").as_posix() for path in ROOT.glob("egs/*/asr/run.sh"))
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, which recipes are written in")


def bash(script: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script with bash as ours run: strictly, and with no more of this environment than it takes."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=cwd, env={**keep, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name wants quoting."""
    path = tmp_path / "a folder with 'quotes' & spaces"
    path.mkdir()
    return path


# --- options --------------------------------------------------------------------------------------------------------

OPTIONS = f"""
script_name=./run.sh script_file={shlex.quote(str(ROOT / "run.sh"))}
source {shlex.quote(str(ROOT / "utils/parse_options.sh"))}
stage=0 exp=exp/ctc force=false
"""


def parse(arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    show = 'echo "$stage|$exp|$force|${overrides[*]-}|${given[*]-}"'
    return bash(f"{OPTIONS}\nparse_options stage exp force -- {arguments}\n{show}", folder)


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ("", "0|exp/ctc|false||"),
        ("--stage 4 --exp 'my exp'", "4|my exp|false||--exp my exp"),
        ("--exp=a=b", "0|a=b|false||--exp a=b"),
        ("--force encoder.dim=64", "0|exp/ctc|true|encoder.dim=64|--force true encoder.dim=64"),
        ("--force false x=1", "0|exp/ctc|false|x=1|--force false x=1"),
        ("--force --stage 2", "2|exp/ctc|true||--force true"),
    ],
)
def test_options_set_their_variables_and_the_rest_are_overrides(arguments: str, result: str, folder: Path) -> None:
    assert parse(arguments, folder).stdout == result + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--exq big", "unknown option --exq, did you mean --exp?"),
        ("--zzzzzz 1", "unknown option --zzzzzz; --help lists all"),
        ("--PATH x", "unknown option --PATH"),
        ("--stage four", "--stage: expected a number, got 'four'"),
        ("--force=maybe", "--force: expected true or false, got 'maybe'"),
        ("--exp", "--exp: expected a value, got none"),
        ("train", "expected --option VALUE or key.sub=value, got 'train'"),
        ("encoder..dim=3", "expected --option VALUE or key.sub=value, got 'encoder..dim=3'"),
    ],
)
def test_a_wrong_option_is_one_line_with_a_remedy(arguments: str, message: str, folder: Path) -> None:
    ran = parse(arguments, folder)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"./run.sh: error: {message}") and ran.stderr.count("\n") == 1


# --- stages ---------------------------------------------------------------------------------------------------------

STAGES = f"""
source {shlex.quote(str(ROOT / "utils/stage.sh"))}
script_name=./run.sh; given=(--exp 'my exp'); stage=${{FROM-0}}; stop_stage=${{TO-9}}; force=${{FORCE-false}}
stage 1 "make data" --log log --key "$DATA" echo making "$DATA"
stage 2 "train" --log log --input config echo training with "$DIM"
stage 3 "score" --log log --show echo "WER 7 %"
"""
FIRST = {"DATA": "yesno", "DIM": "5"}


def stages_run(ran: subprocess.CompletedProcess[str]) -> list[int]:
    """The numbers of the stages that did something."""
    lines = [line.split() for line in ran.stdout.splitlines() if line.startswith("== stage")]
    return [int(words[2].rstrip(":")) for words in lines if words[-4:-2] == ["done", "in"]]


@pytest.fixture
def config(folder: Path) -> Path:
    path = folder / "config"
    path.write_text("dim: 17\n", encoding="utf-8")
    return path


@pytest.mark.usefixtures("config")
def test_stages_run_between_the_two_ends(folder: Path) -> None:
    assert stages_run(bash(STAGES, folder, FROM="2", TO="2", **FIRST)) == [2]
    assert (folder / "log/2-train.log").read_text(encoding="utf-8") == "training with 5\n"


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({}, []),
        ({"FORCE": "true"}, [1, 2, 3]),
        ({"DATA": "fsdd"}, [1, 2, 3]),
        ({"DIM": "7"}, [2, 3]),
        ({"FROM": "3", "FORCE": "true"}, [3]),
        ({"FROM": "3"}, []),
    ],
)
def test_a_change_runs_its_stage_and_all_after_it_again(
    changes: dict[str, str], again: list[int], folder: Path
) -> None:
    assert stages_run(bash(STAGES, folder, **FIRST)) == [1, 2, 3]
    assert stages_run(bash(STAGES, folder, **{**FIRST, **changes})) == again


@pytest.mark.usefixtures("config")
def test_a_late_stage_that_ran_ahead_runs_again_after_the_stages_before_it(folder: Path) -> None:
    bash(STAGES, folder, **FIRST)
    changed = {**FIRST, "DIM": "7"}
    assert stages_run(bash(STAGES, folder, FROM="3", FORCE="true", **changed)) == [3]  # scores what DIM=5 made
    assert stages_run(bash(STAGES, folder, TO="2", **changed)) == [2]
    assert stages_run(bash(STAGES, folder, **changed)) == [3]


def test_a_changed_input_file_runs_its_stage_again(folder: Path, config: Path) -> None:
    bash(STAGES, folder, **FIRST)
    config.write_text("dim: 5\n", encoding="utf-8")
    assert stages_run(bash(STAGES, folder, **FIRST)) == [2, 3]


@pytest.mark.usefixtures("config")
def test_a_skipped_stage_shows_its_result_again(folder: Path) -> None:
    bash(STAGES, folder, **FIRST)
    assert "WER 7 %" in bash(STAGES, folder, **FIRST).stdout.splitlines()


FAILING = f"""
source {shlex.quote(str(ROOT / "utils/stage.sh"))}
script_name=./run.sh; given=(--exp 'my exp'); stage=0; stop_stage=9; force=false
stage 4 "train" --log log bash -c "$COMMAND"
echo "never reached"
"""


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        (
            "echo speechkit train: error: cut c7: no audio; echo bye; exit 3",
            3,
            "speechkit train: error: cut c7: no audio",
        ),
        (
            "echo Traceback; echo '    raise KeyError: x'; echo ValueError: first; echo RuntimeError: second; exit 1",
            1,
            "ValueError: first",
        ),
        (
            "echo '[rank1]: torch.OutOfMemoryError: 80 GiB'; echo 'Error: late'; exit 1",
            1,
            "[rank1]: torch.OutOfMemoryError: 80 GiB",
        ),
        ("echo the word error rate is 7; echo 'it stopped'; echo; exit 9", 9, "it stopped"),
        ("kill -KILL $$", 137, "the process was killed, most likely because the machine ran out of memory"),
        ("exit 5", 5, "(nothing was printed)"),
        ("no-such-program", 127, "bash: line 1: no-such-program: command not found"),
    ],
)
def test_a_failing_stage_says_the_cause_the_log_and_how_to_go_on(
    command: str, status: int, error: str, folder: Path
) -> None:
    ran = bash(FAILING, folder, COMMAND=command)
    assert ran.returncode == status
    assert "never reached" not in ran.stdout
    assert ran.stderr.splitlines()[-4:] == [
        f"stage 4 (train) failed with exit code {status}",
        f"  first error: {error}",
        f"  log:         {folder.resolve()}/log/4-train.log",
        "  to go on:    ./run.sh --stage 4 --exp my\\ exp",
    ]
    assert not list(folder.glob("log/*.done"))


def test_a_failed_stage_runs_again_and_forgets_that_it_was_done(folder: Path) -> None:
    script = FAILING.replace("given=(", "force=$FORCE; given=(").replace("force=false", "")
    good = 'test "$OK" = yes'
    assert bash(script, folder, FORCE="false", COMMAND=good, OK="yes").returncode == 0
    assert bash(script, folder, FORCE="true", COMMAND=good, OK="no").returncode == 1
    assert "stage 4: train: done before" not in bash(script, folder, FORCE="false", COMMAND=good, OK="yes").stdout


def test_ctrl_c_stops_the_recipe_after_the_command_has_saved(folder: Path) -> None:
    command = "trap 'sleep 0.2; echo saved; exit 0' INT; echo started; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", FAILING],
        cwd=folder, env={**os.environ, "COMMAND": command}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    log = folder / "log/4-train.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and "started" in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert output.splitlines()[-1] == "saved" and "saved" in log.read_text(encoding="utf-8")
    assert "interrupted in stage 4; to go on: ./run.sh --stage 4 --exp my\\ exp" in errors
    assert not list(folder.glob("log/*.done"))


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
    (path / "setup.py").write_text("", encoding="utf-8")
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
    assert (house / ".venv/.speechkit/core").exists()


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


# --- recipes --------------------------------------------------------------------------------------------------------

SPEECHKIT = """#!/usr/bin/env bash
echo "$*" | tee -a "$CALLS"
[[ $1 != score ]] || { mkdir -p "$2/decode/test" && echo '{"errors": 1, "ref_len": 8}' >"$2/decode/test/wer.json"; }
"""


@pytest.fixture
def recipes(folder: Path) -> Path:
    """The real recipes, a program `speechkit` that only says how it was called, and a config."""
    for name in ("utils", "egs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("data", "exp", "downloads"))
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
    asked = speechkit_calls(recipes, "fsdd/asr", "--loso", "true", "seed=2", "search.beam_size=4")
    assert len(asked) == 6 * len(ALL)
    without_theo = "seed=2 corpus.split=leave_one_out corpus.held_out=theo"
    assert f"prepare ./conf.yaml {without_theo}" in asked
    assert f"train ./conf.yaml {without_theo} --exp exp/ctc_without_theo --fail-if-stopped" in asked
    assert "decode exp/ctc_without_theo search.beam_size=4" in asked
    assert (recipes / "screen").read_text(encoding="utf-8").endswith("WER  12.50 %  [6 / 48]\n")


def test_a_config_with_a_mistake_stops_the_recipe_with_one_line(recipes: Path) -> None:
    (recipes / "conf.yaml").write_text("a: [\n", encoding="utf-8")
    ran = bash("egs/yesno/asr/run.sh --conf ../../../conf.yaml", recipes, CALLS="calls", PYTHONPATH=str(ROOT))
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ../../../conf.yaml:2: not valid YAML") and ran.stderr.count("\n") == 1
