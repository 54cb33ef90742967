"""tools/install_k2.sh. A fake Python says what is installed and installs nothing; the page of wheels is a file."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from shell import ROOT, bash, executable, folder, needs_bash  # noqa: F401 - a fixture

pytestmark = needs_bash

PYTHON = """#!/usr/bin/env bash
case "$*" in
  *torch.version.cuda*) [[ -n ${FACTS-} ]] && echo "$FACTS" ;;
  *importlib.metadata*) [[ -n ${THERE-} ]] && echo "$THERE" ;;
  *urlopen*) [[ -n ${PAGE-} ]] && cat "$PAGE" && echo "$*" >>"$CALLS" ;;
  "-m pip install"*) echo "$*" >>"$CALLS" && [[ -z ${BROKEN-} ]] ;;
  *"import k2"*) [[ -z ${UNLOADABLE-} ]] ;;
esac
"""
LINUX = "linux_[^-]*x86_64"


def wheel(date, device, torch, tag="cp311", system="manylinux_2_27_x86_64.manylinux_2_28_x86_64"):
    name = f"k2-1.24.4.dev{date}+{device}.torch{torch}-{tag}-{tag}-{system}.whl"
    return f'<a href="https://example.org/k2/{name.replace("+", "%2B")}">{name}</a><br/>'


WHEELS = [
    wheel(20240101, "cpu", "2.12.1"),
    wheel(20260301, "cpu", "2.12.1"),
    wheel(20260626, "cpu", "2.12.1", "cp310"),
    wheel(20260626, "cpu", "2.12.1", system="manylinux_2_27_aarch64.manylinux_2_28_aarch64"),
    wheel(20260625, "cpu", "2.12.1", system="macosx_11_0_arm64"),
    wheel(20250101, "cpu", "2.9.0"),
    wheel(20250202, "cpu", "2.10.0"),
    wheel(20260306, "cuda12.8", "2.12.1"),
    wheel(20260307, "cuda12.6", "2.12.1"),
]


def install(folder: Path, facts: str, *options: str, wheels=WHEELS, page=True, **env: str) -> subprocess.CompletedProcess[str]:
    python = executable(folder / "python", PYTHON)
    (folder / "page.html").write_text("\n".join(wheels), encoding="utf-8")
    if page:
        options = (*options, "--page", str(folder / "page.html"))
    words = [str(ROOT / "tools/install_k2.sh"), "--python", str(python), *options]
    return bash(shlex.join(words), folder, FACTS=facts, CALLS=str(folder / "calls"), **env)


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


CPU = f"2.12.1+cpu 2.12.1 cpu cp311 {LINUX}"


@pytest.mark.parametrize(
    ("facts", "version"),
    [
        (CPU, "1.24.4.dev20260301+cpu.torch2.12.1"),
        (f"2.12.1+cu128 2.12.1 cuda12.8 cp311 {LINUX}", "1.24.4.dev20260306+cuda12.8.torch2.12.1"),
        ("2.12.1 2.12.1 cpu cp311 macosx_[^-]*arm64", "1.24.4.dev20260625+cpu.torch2.12.1"),
        ("2.12.1+cpu 2.12.1 cpu cp311 linux_[^-]*aarch64", "1.24.4.dev20260626+cpu.torch2.12.1"),
    ],
)
def test_the_newest_build_for_this_torch_device_python_and_machine_is_installed_and_torch_stays(folder, facts, version):
    ran = install(folder, facts)
    assert ran.returncode == 0, ran.stderr
    page = folder / "page.html"
    assert calls(folder) == [f"-m pip install --find-links {page} k2=={version} torch=={facts.split()[0]}"]
    assert f"k2 {version} is the newest build for PyTorch 2.12.1" in ran.stdout


def test_a_dry_run_only_says_which_it_would_be(folder):
    ran = install(folder, CPU, "--dry-run")
    assert ran.returncode == 0 and calls(folder) == []
    assert ran.stdout == (
        "k2 1.24.4.dev20260301+cpu.torch2.12.1 is the newest build for PyTorch 2.12.1 (cpu), Python 3.11 on linux x86_64\n"
    )


def test_what_to_do_without_a_build_is_said_precisely(folder):
    ran = install(folder, f"2.13.0+cpu 2.13.0 cpu cp311 {LINUX}")
    assert ran.returncode == 1 and calls(folder) == []
    assert "error: k2 has no build for PyTorch 2.13.0 (cpu), Python 3.11 on linux x86_64" in ran.stderr
    assert "there are builds for PyTorch 2.9.0, 2.10.0, 2.12.1:" in ran.stderr
    assert "compile it" in ran.stderr and "nothing in speechkit needs k2" in ran.stderr


def test_builds_for_another_cuda_or_none_for_this_python_are_told(folder):
    ran = install(folder, f"2.12.1+cu130 2.12.1 cuda13.0 cp311 {LINUX}")
    assert ran.returncode == 1
    assert "there is none for this Python and machine with any PyTorch for cuda13.0" in ran.stderr
    assert "builds for PyTorch 2.12.1 are for cpu, cuda12.6, cuda12.8: install that one" in ran.stderr
    ran = install(folder, f"2.12.1+cpu 2.12.1 cpu cp314 {LINUX}")
    assert ran.returncode == 1 and "there is none for this Python" in ran.stderr and "are for" not in ran.stderr


def test_a_k2_that_can_be_imported_is_left_alone(folder):
    ran = install(folder, CPU, THERE="1.24.4")
    assert ran.returncode == 0 and calls(folder) == []
    assert ran.stdout.startswith("k2 1.24.4 is there and can be imported")


@pytest.mark.parametrize(("device", "name"), [("cpu", "cpu"), ("cuda12.8", "cuda")])
def test_the_page_is_that_of_k2_for_the_device(folder, device, name):
    ran = install(folder, f"2.12.1 2.12.1 {device} cp311 {LINUX}", "--dry-run", page=False, PAGE=str(folder / "page.html"))
    assert ran.returncode == 0, ran.stderr
    assert calls(folder)[0].endswith(f"https://k2-fsa.github.io/k2/{name}.html")


@pytest.mark.parametrize(
    ("facts", "options", "problem"),
    [
        ("", {}, "expected an environment with PyTorch, got none; run ./run.sh setup"),
        (CPU, {"page": False}, "k2/cpu.html: cannot read the list of wheels; look at the connection"),
        (CPU, {"wheels": ["moved"]}, "page.html: expected links to wheels of k2, got none"),
        (CPU, {"BROKEN": "1"}, "pip could not install k2 1.24.4.dev20260301+cpu.torch2.12.1; see above"),
        (CPU, {"UNLOADABLE": "1"}, "was installed, but cannot be imported"),
    ],
)
def test_what_goes_wrong_is_said_with_its_remedy(folder, facts, options, problem):
    ran = install(folder, facts, **options)
    assert ran.returncode == 1 and problem in ran.stderr


def test_an_option_that_there_is_not_is_refused_and_help_is_the_head_of_the_script(folder):
    ran = install(folder, CPU, "--dryrun")
    assert ran.returncode == 2 and "unknown option --dryrun, did you mean --dry-run?" in ran.stderr
    assert "Nothing in" in install(folder, CPU, "--help").stdout
