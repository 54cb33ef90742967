"""Say what can be chosen, with defaults, units and meaning.

  speechkit describe                      all kinds of components
  speechkit describe encoder              the choices of a kind
  speechkit describe encoder conformer    the options of a choice
  speechkit describe task asr             a whole experiment; or that of another task: lm, tts, vocoder
"""

from __future__ import annotations

import argparse
import re
import typing
from collections.abc import Sequence
from typing import Any

HELP = "list what can be chosen, with defaults and meaning"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("kind", nargs="?", help="encoder, tokenizer, optimizer ...")
    parser.add_argument("name", nargs="?", help="one choice of the kind")


def run(args: argparse.Namespace) -> None:
    """Print the kinds, the choices of one, or the options of one choice."""
    from rich.console import Console
    from rich.markup import escape

    import speechkit.tasks.asr
    import speechkit.tasks.lm
    import speechkit.tasks.tts
    import speechkit.tasks.vocoder  # noqa: F401 - they register everything
    from speechkit.config import KINDS

    console = Console()
    if args.kind is None:
        console.print(_kinds(KINDS))
        return
    as_choice = [f"{name} {args.kind}" for name, kind in sorted(KINDS.items()) if args.kind in kind.registry]
    kind = _pick(KINDS, args.kind, "kind", as_choice)
    if args.name is None:
        console.print(_choices(kind))
        return
    chosen = _pick(kind.registry, args.name, args.kind)
    console.print(f"[bold]{args.kind}: {args.name}[/bold]\n{escape(first_paragraph(chosen))}\n")
    console.print(_options(chosen.Config))


def _pick(table: dict[str, Any], name: str, what: str, guesses: Sequence[str] = ()) -> Any:
    import difflib

    if name not in table:
        near = [*guesses] or difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ValueError(f"no {what} is called {name!r}; {hint}choices: {', '.join(sorted(table))}")
    return table[name]


def first_paragraph(item: Any) -> str:
    """The start of a docstring, up to the first empty line."""
    return plain(" ".join((item.__doc__ or "").split("\n\n")[0].split()))


def plain(text: str) -> str:
    """Text of a docstring without what only Sphinx reads: double backquotes, and roles such as ``:class:``."""
    return re.sub(r":[a-z]+:(?=`)", "", text).replace("``", "`")


def _kinds(kinds: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("kind", "choices", box=None, pad_edge=False)
    for name, kind in sorted(kinds.items()):
        table.add_row(name, ", ".join(sorted(kind.registry)))
    return table


def _choices(kind: Any) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "what it is", box=None, pad_edge=False)
    for name, choice in sorted(kind.registry.items()):
        table.add_row(name, escape(first_paragraph(choice)))
    return table


def _options(config: Any) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from speechkit.config import walk

    table = Table("key", "default", "meaning", box=None, pad_edge=False)
    for key, default, owner in walk(config):
        if (name := key.split(".")[-1]) != "name":
            table.add_row(key, escape(_default(default)), escape(_meaning(owner, name)))
    return table if table.rows else "It has no options."


def _meaning(config: Any, name: str) -> str:
    """What an option does, and its possible values unless they are all named there."""
    from speechkit.config import documentation

    text, annotation = plain(documentation(config).get(name, "")), config.model_fields[name].annotation
    values = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
    return text if all(value in text for value in values) else f"{text} One of {', '.join(values)}."


def _default(value: Any) -> str:
    from pydantic_core import PydanticUndefined

    from speechkit.config import Config, inline

    if isinstance(value, Config):  # whose options have lines of their own
        return getattr(value, "name", "")
    return "(required)" if value is PydanticUndefined else inline(value)
