"""The house rules that a machine can hold: imports go down in rank, every module has its tests, tests stay offline."""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = [  # from the ground up
    "config utils",
    "text metrics",
    "data",
    "features",
    "nn graphs",
    "models",
    "objectives",
    "decode",
    "train",
    "tasks",
    "zoo serve report",
    "cli",
    "__init__ __main__",
]
RANK = {name: rank for rank, names in enumerate(FLOORS) for name in names.split()}
UNKNOWN_TO_THE_TRAINER = {"models", "objectives", "decode"}


def modules(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Every module of the package, with its dotted name in parts: ("speechkit", "text", "tokenizer")."""
    for path in sorted((root / "speechkit").rglob("*.py")):
        yield path, path.relative_to(root).with_suffix("").parts


def imported(path: Path, name: tuple[str, ...]) -> Iterator[str]:
    """What a file imports from speechkit, anywhere in it, as dotted names; a relative import is made absolute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(name[: len(name) - node.level]) if node.level else ""
            source = ".".join(part for part in (package, node.module) if part)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def import_violations(root: Path) -> Iterator[str]:
    """Every import that goes up, or sideways into another package, or that shows the trainer what it must not know."""
    for path, name in modules(root):
        own = name[1]
        if own not in RANK:
            yield f"speechkit.{own}: a package without a rank; give it one in {Path(__file__).name}"
            continue
        for source, *rest in (target.split(".") for target in imported(path, name)):
            other = rest[0] if rest else ""
            if source != "speechkit" or other not in RANK or other == own:
                continue
            sideways = RANK[other] == RANK[own] > 0  # config and utils, the ground floor, may use each other
            hidden = own == "train" and other in UNKNOWN_TO_THE_TRAINER
            if RANK[other] > RANK[own] or sideways or hidden:
                yield f"{'.'.join(name)} (rank {RANK[own]}) imports speechkit.{other} (rank {RANK[other]})"


def modules_without_tests(root: Path) -> Iterator[str]:
    """Every module that has no file test_<module>.py, or test_<package>_<module>.py, in its folder's mirror."""
    for _, (*packages, module) in modules(root):
        folder = root.joinpath("test", *packages[1:])
        names = [module, "_".join([*packages[-1:], module]), "_".join([*packages[1:], module])]
        if not module.startswith("__") and not any((folder / f"test_{name}.py").exists() for name in names):
            yield f"{'.'.join([*packages, module])}: no {(folder / f'test_{module}.py').relative_to(root)}"


def test_packages_import_only_from_lower_ranks() -> None:
    assert list(import_violations(ROOT)) == []


def test_every_module_has_its_test_file() -> None:
    assert list(modules_without_tests(ROOT)) == []


@pytest.mark.parametrize(
    ("module", "line", "allowed"),
    [
        ("text/char.py", "from speechkit.utils.files import sha256", True),
        ("text/char.py", "from .tokenizer import Tokenizer", True),
        ("models/encoder/tdnn.py", "from speechkit.nn import norm", True),
        ("train/trainer.py", "from speechkit.utils import dist", True),
        ("config.py", "from speechkit.utils.files import sha256", True),
        ("__init__.py", "from speechkit import tasks", True),
        ("text/char.py", "from speechkit import data", False),
        ("text/char.py", "from speechkit.metrics.error_rate import score", False),
        ("text/char.py", "def late():\n    import speechkit.data.cuts", False),
        ("text/char.py", "from ..data import cuts", False),
        ("models/encoder/tdnn.py", "from ...train import trainer", False),
        ("train/trainer.py", "from speechkit.decode.base import Search", False),
        ("garage/car.py", "import os", False),
    ],
)
def test_the_import_rule_sees_every_form_of_import(tmp_path: Path, module: str, line: str, allowed: bool) -> None:
    path = tmp_path / "speechkit" / module
    path.parent.mkdir(parents=True)
    path.write_text(line, encoding="utf-8")
    assert (list(import_violations(tmp_path)) == []) is allowed


@pytest.mark.parametrize(("test", "missing"), [("test_base.py", 0), ("test_encoder_base.py", 0), ("test_bass.py", 1)])
def test_a_module_is_matched_with_its_test_file_by_name(tmp_path: Path, test: str, missing: int) -> None:
    for path in (tmp_path / "speechkit/models/encoder/base.py", tmp_path / "test/models/encoder" / test):
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "speechkit/__init__.py").touch()
    assert len(list(modules_without_tests(tmp_path))) == missing


def test_tests_cannot_reach_another_machine() -> None:
    with pytest.raises(RuntimeError, match="without a network"):
        socket.create_connection(("example.org", 80), timeout=1)
    with pytest.raises(RuntimeError, match="without a network"), socket.socket() as unconnected:
        unconnected.connect(("192.0.2.1", 80))
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()
