from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speechkit.cli.main import build_parser, import_file, main, parse, verbs

ROOT = Path(__file__).parents[2]


def python(*args):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *args], env=env, capture_output=True, text=True)


def test_help_lists_every_verb_and_imports_nothing_heavy():
    done = python("-c", "import sys\nfrom speechkit.cli.main import main\ntry: main(['--help'])\nfinally: print(sorted(sys.modules))")
    assert all(f"    {verb}" in done.stdout for verb in verbs())
    assert not any(f"'{name}'" in done.stdout for name in ("torch", "lhotse", "numpy", "pydantic"))


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([verb, "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and f"speechkit {verb} " in text and "--import" in text


def test_overrides_may_stand_anywhere():
    for argv in ("train a.yaml --exp e x.y=1 z=2", "train a.yaml x.y=1 --exp e z=2", "train --exp e a.yaml x.y=1 z=2"):
        args = parse(argv.split())
        assert (args.config, args.exp, args.overrides) == ("a.yaml", "e", ["x.y=1", "z=2"])
    with pytest.raises(SystemExit):
        parse("train a.yaml --exp e --epochs 3".split())
    with pytest.raises(SystemExit):
        parse("average exp other".split())


def test_a_mistyped_verb_gets_a_suggestion(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["trian"])
    assert stop.value.code == 2 and "did you mean 'train'?" in capsys.readouterr().err


def test_a_users_mistake_is_one_line_and_exit_code_1(tmp_path, capsys):
    assert main(["average", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("speechkit average: error: ") and error.count("\n") == 1


def test_the_traceback_is_there_for_those_who_want_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHKIT_TRACEBACK", "1")
    with pytest.raises(ValueError, match="train first"):
        main(["average", str(tmp_path)])


def test_ctrl_c_outside_of_training_is_no_traceback(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("speechkit.cli.average.run", interrupted)
    assert main(["average", "x"]) == 130 and "interrupted" in capsys.readouterr().err


def test_parts_of_ones_own_are_registered_by_importing_their_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from speechkit.train.schedule import Schedule\n"
        "class Mine(Schedule, name='mine'):\n"
        "    def factor(self, step, epoch):\n        return 0.5\n"
    )
    from speechkit.train.schedule import Schedule

    try:
        import_file(str(tmp_path / "mine.py"))
        assert Schedule.registry["mine"].Config().build(total_steps=1).factor(1, 0.0) == 0.5
    finally:
        Schedule.registry.pop("mine", None)
    with pytest.raises(ValueError, match="expected a Python file"):
        import_file(str(tmp_path / "nothere.py"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("x = 1\ndef f(:\n", ":2: SyntaxError: invalid syntax"),
        ("import nothere_at_all\n", ":1: ModuleNotFoundError: No module named 'nothere_at_all'"),
        ("def f():\n    raise KeyError('k')\n\nf()\n", ":2: KeyError: 'k'"),
        ("import json\n\njson.loads('{')\n", ":3: JSONDecodeError: Expecting"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_line(tmp_path, capsys, content, problem):
    (tmp_path / "mine.py").write_text(content)
    assert main(["describe", "--import", str(tmp_path / "mine.py")]) == 1
    error = capsys.readouterr().err
    assert f"--import {tmp_path}/mine.py{problem}" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "argv", ["train {}/gone.yaml --exp e", "prepare {}/gone.yaml", "prepare fsdd --config {}/gone.yaml"]
)
def test_a_missing_config_is_said_before_anything_heavy_is_imported(tmp_path, argv):
    script = (
        "import sys\nfrom speechkit.cli.main import main\n"
        "assert main(sys.argv[1:]) == 1\nassert 'pydantic' not in sys.modules\n"
    )
    done = python("-c", script, *argv.format(tmp_path).split())
    assert done.returncode == 0, done.stderr
    assert "gone.yaml: cannot read the config: no such file; check the path" in done.stderr


def test_sigterm_ends_a_verb_through_its_own_cleaning_up(tmp_path):
    script = (
        "import os, signal, sys, tempfile\nfrom speechkit.cli import average, main\n"
        "def run(args):\n"
        "    with tempfile.TemporaryDirectory(dir=args.exp):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "average.run = run\nsys.exit(main.main(['average', sys.argv[1]]))\n"
    )
    assert python("-c", script, str(tmp_path)).returncode == 143
    assert list(tmp_path.iterdir()) == []


def test_signals_are_as_before_when_a_verb_is_done(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("speechkit.cli.average.run", lambda args: None)
    assert main(["average", "x"]) == 0 and signal.getsignal(signal.SIGTERM) is before


def test_python_dash_m_works():
    assert "speechkit 0." in python("-m", "speechkit", "--version").stdout
