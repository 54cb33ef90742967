"""Options, and stages that resume. Fakes stand in for programs that take long."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import ROOT, bash, folder, needs_bash  # noqa: F401 - a fixture

pytestmark = needs_bash


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
        ("--stage 08", "8|exp/ctc|false||"),
        ("--stage 00", "0|exp/ctc|false||"),
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
        ("--exp ''", "--exp: expected a value, got ''"),
        ("--exp=", "--exp: expected a value, got ''"),
        ("--stage 99999999999999999999", "--stage: expected a number, got '99999999999999999999'"),
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


def test_going_on_starts_with_the_first_stage_that_was_never_done(folder: Path) -> None:
    before = 'stage 0 "download" --log log true\nstage 1 "manifests" --log log true\nstage 4'
    script = FAILING.replace("stage 4", before)
    from_4 = script.replace("stage=0", "stage=4")
    ran = bash(from_4, folder, COMMAND="exit 1")
    assert ran.stderr.endswith("  to go on:    ./run.sh --stage 0 --exp my\\ exp\n")
    assert bash(script, folder, COMMAND="exit 0").returncode == 0
    ran = bash(from_4.replace("force=false", "force=true"), folder, COMMAND="exit 1")
    assert ran.stderr.endswith("  to go on:    ./run.sh --stage 4 --exp my\\ exp\n")


def test_a_failed_stage_runs_again_and_forgets_that_it_was_done(folder: Path) -> None:
    script = FAILING.replace("given=(", "force=$FORCE; given=(").replace("force=false", "")
    good = 'test "$OK" = yes'
    assert bash(script, folder, FORCE="false", COMMAND=good, OK="yes").returncode == 0
    assert bash(script, folder, FORCE="true", COMMAND=good, OK="no").returncode == 1
    assert "stage 4: train: done before" not in bash(script, folder, FORCE="false", COMMAND=good, OK="yes").stdout


@pytest.mark.parametrize(("name", "status"), [("INT", 130), ("TERM", 143)])
@pytest.mark.parametrize("send", [os.kill, os.killpg])  # a terminal and most clusters tell all processes, some only the first
def test_a_signal_stops_the_recipe_after_the_command_has_saved(
    send: Callable[[int, int], None], name: str, status: int, folder: Path
) -> None:
    wait = "until ((got)); do sleep 0.05; done; for i in {1..10}; do sleep 0.05; done"
    command = f"got=0; trap '((++got))' {name}; echo started; {wait}; echo got $got; echo saved"
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
    send(process.pid, signal.Signals[f"SIG{name}"])
    try:
        output, errors = process.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == status
    assert output.splitlines()[-2:] == ["got 1", "saved"] and "saved" in log.read_text(encoding="utf-8")
    assert "interrupted in stage 4; to go on: ./run.sh --stage 4 --exp my\\ exp" in errors
    assert not list(folder.glob("log/*.done"))
