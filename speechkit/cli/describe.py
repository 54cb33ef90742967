"""Say what can be chosen, with defaults, units and meaning.

  speechkit describe                      all kinds of components
  speechkit describe encoder              the choices of a kind
  speechkit describe encoder conformer    the options of a choice
  speechkit describe task asr             a whole experiment
"""

from __future__ import annotations

import argparse
from typing import Any

HELP = "list what can be chosen, with defaults and meaning"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("kind", nargs="?", help="encoder, tokenizer, optimizer ...")
    parser.add_argument("name", nargs="?", help="one choice of the kind")


def run(args: argparse.Namespace) -> None:
    """Print the kinds, the choices of one, or the options of one choice."""
    from rich.console import Console

    import speechkit.tasks.asr
    import speechkit.tasks.lm  # noqa: F401 - they register everything
    from speechkit.config import KINDS

    console = Console()
    if args.kind is None:
        console.print(_kinds(KINDS))
        return
    kind = _pick(KINDS, args.kind, "kind")
    if args.name is None:
        console.print(_choices(kind))
        return
    chosen = _pick(kind.registry, args.name, args.kind)
    console.print(f"[bold]{args.kind}: {args.name}[/bold]\n{first_paragraph(chosen)}\n")
    console.print(_options(chosen.Config))


def _pick(table: dict[str, Any], name: str, what: str) -> Any:
    import difflib

    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no {what} is called {name!r}; {hint}choices: {', '.join(sorted(table))}")
    return table[name]


def first_paragraph(item: Any) -> str:
    """The start of a docstring, up to the first empty line."""
    return " ".join((item.__doc__ or "").split("\n\n")[0].split())


def _kinds(kinds: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("kind", "choices", box=None, pad_edge=False)
    for name, kind in sorted(kinds.items()):
        table.add_row(name, ", ".join(sorted(kind.registry)))
    return table


def _choices(kind: Any) -> Any:
    from rich.table import Table

    table = Table("name", "what it is", box=None, pad_edge=False)
    for name, choice in sorted(kind.registry.items()):
        table.add_row(name, first_paragraph(choice))
    return table


def _options(config: Any) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from speechkit.config import documentation, walk

    table = Table("key", "default", "meaning", box=None, pad_edge=False)
    for key, field, owner in walk(config):
        if (name := key.split(".")[-1]) != "name":
            table.add_row(key, escape(_default(field)), escape(documentation(owner).get(name, "")))
    return table


def _default(field: Any) -> str:
    from speechkit.config import Config

    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Config):
        return getattr(value, "name", "")
    return "null" if value is None else str(value)
