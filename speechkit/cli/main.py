"""``speechkit VERB ...``: finds the verb's file, and turns a user's mistakes into one line. Imports nothing heavy."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import os
import pkgutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType, ModuleType

import speechkit
from speechkit import cli

ORDER = (
    "prepare tokenizer features lm graph durations train average decode synthesize score report transcribe align lattices "
    "describe"
).split()


def verbs() -> dict[str, ModuleType]:
    """Every verb's module: a file of this package with ``HELP``, ``add_arguments`` and ``run``."""
    names = [m.name for m in pkgutil.iter_modules(cli.__path__) if m.name != "main"]
    found = {name: importlib.import_module(f"speechkit.cli.{name}") for name in names}
    return dict(sorted(found.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER)))


def build_parser() -> argparse.ArgumentParser:
    """The command line with all its verbs."""
    parser = argparse.ArgumentParser(
        prog="speechkit",
        description="Recipes for speech: from recordings to a recogniser and its word error rate, or to a voice.",
        epilog="`speechkit VERB --help` says more. SPEECHKIT_TRACEBACK=1 shows where an error came from.",
    )
    parser.add_argument("--version", action="version", version=f"speechkit {speechkit.__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in verbs().items():
        sub = subparsers.add_parser(name, help=module.HELP, description=module.__doc__, formatter_class=_Keep)
        sub.add_argument(
            "--import", dest="imports", metavar="FILE.py", action="append", default=[], help="register parts of your own"
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


class _Keep(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of the verbs' docstrings, which hold examples."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb. Returns 0 when it did its work, 1 after an error that it explained, 2 for wrong arguments."""
    argv = list(sys.argv[1:] if argv is None else argv)
    _suggest_verb(argv)
    args = parse(argv)
    try:
        _check_config(args)
        for path in args.imports:
            import_file(path)
        with _sigterm_unwinds():
            return args.run(args) or 0
    except (ValueError, OSError) as error:
        if os.environ.get("SPEECHKIT_TRACEBACK"):
            raise
        if isinstance(error, BrokenPipeError):  # `speechkit describe | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        print(f"speechkit {args.verb}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"speechkit {args.verb}: interrupted", file=sys.stderr)
        return 130


def _check_config(args: argparse.Namespace) -> None:
    """Say at once that a config is not there: reading it comes after seconds of imports."""
    corpus = getattr(args, "corpus", "")
    for path in (getattr(args, "config", None), corpus if corpus.endswith((".yaml", ".yml")) else None):
        if path is not None and not os.path.exists(path):
            raise ValueError(f"{path}: cannot read the config: no such file; check the path")


@contextlib.contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end a verb as an exception does, so that it removes what it has half written.

    Training, which saves its state first, and programs that call :func:`main` have handlers of their own.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def unwind(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse, with ``key=value`` allowed anywhere: argparse alone takes none after an option."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    wrong = [arg for arg in rest if arg.startswith("-") or not hasattr(args, "overrides")]
    if wrong:
        parser.error(f"unrecognized arguments: {' '.join(wrong)} (`speechkit {args.verb} --help` lists them)")
    if rest:
        args.overrides = [*args.overrides, *rest]
    return args


def _suggest_verb(argv: list[str]) -> None:
    if argv and not argv[0].startswith("-") and argv[0] not in verbs():
        near = difflib.get_close_matches(argv[0], verbs(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        print(f"speechkit: error: no verb {argv[0]!r}; {hint}verbs: {', '.join(verbs())}", file=sys.stderr)
        raise SystemExit(2)


def import_file(path: str) -> None:
    """Run a Python file whose classes register themselves (``class MyEncoder(Encoder, name="mine")``)."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(os.path.basename(path).removesuffix(".py"), path)
    if spec is None or spec.loader is None or not os.path.exists(path):
        raise ValueError(f"--import {path}: expected a Python file, found none")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as error:
        raise ValueError(f"--import {_where(error, path)}: {_in_a_line(error)}; correct the file") from error


def _where(error: Exception, path: str) -> str:
    """The last line of ``path`` that ran, or the line of any file that is no Python."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{path}:{lines[-1]}" if lines else path


def _in_a_line(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    raise SystemExit(main())
