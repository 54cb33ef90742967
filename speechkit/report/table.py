"""The results of an experiment as a table: for the terminal, and as Markdown for a recipe's README."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from speechkit.metrics.error_rate import ErrorRate
from speechkit.report.numbers import percent, plural
from speechkit.report.results import DecodedSet, read_sets

COLUMNS = ("set", "WER %", "95 % interval", "sub", "ins", "del", "CER %", "utts", "words", "RTF", "threads", "search")


def results_table(exp_dir: Path) -> Table:
    """Error rates of every decoded set, narrow enough for a terminal of 80 columns: how they were made stands below.

    Raises:
        ValueError: Nothing was decoded yet.
    """
    sets = _sets(exp_dir)
    made = {each.name: f"{_search(each)}, {_threads(each)}" for each in sets}
    same = len(set(made.values())) == 1
    caption = made[sets[0].name] if same else "\n".join(f"{name}: {how}" for name, how in made.items())
    # Text, because a plain string with brackets would be read as markup.
    table = Table(title=Text(str(exp_dir)), title_justify="left", caption=Text(caption), caption_justify="left")
    table.box, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, True
    table.add_column("set", overflow="fold")
    for column in COLUMNS[1:-2]:
        table.add_column(column, justify="right", style="bold" if column == "WER %" else None, no_wrap=True)
    for each in sets:
        table.add_row(*map(Text, _cells(each)[:-2]))
    return table


def results_markdown(exp_dir: Path) -> str:
    """The same numbers in Markdown, and below them the commands and machines that made them.

    Raises:
        ValueError: Nothing was decoded yet.
    """
    sets = _sets(exp_dir)
    lines = [_line(COLUMNS), _line([":--" if c in ("set", "search") else "--:" for c in COLUMNS])]
    lines += [_line([cell.replace("|", "\\|") for cell in _cells(each)]) for each in sets]
    made = dict.fromkeys(_made_by(each) for each in sets if each.facts)
    return "\n".join([*lines, *([""] if made else []), *(f"* {text}" for text in made)]) + "\n"


def interval(rate: ErrorRate) -> str:
    """The 95 % interval in per cent."""
    return "–".join(map(percent, rate.interval))


def real_time_factor(each: DecodedSet) -> str:
    """Seconds of work per second of audio, or a dash."""
    rtf = each.facts.get("rtf")
    return f"{rtf:.4f}" if isinstance(rtf, (int, float)) else "–"


def _sets(exp_dir: Path) -> list[DecodedSet]:
    if sets := read_sets(exp_dir):
        return sets
    raise ValueError(f"{exp_dir}/decode: expected decoded sets, found none; run `speechkit decode {exp_dir}` first")


def _cells(each: DecodedSet) -> list[str]:
    wer, cer = each.wer, each.cer
    counts = [str(n) for n in (wer.sub, wer.ins, wer.del_)]
    size = [str(len(each.rows)), str(wer.ref_len)]
    speed = [real_time_factor(each), str(each.facts.get("threads", "–"))]
    return [each.name, percent(wer.rate), interval(wer), *counts, percent(cer.rate), *size, *speed, _search(each)]


def _search(each: DecodedSet) -> str:
    name, options = each.search
    return f"{name} ({options})" if options else name


def _threads(each: DecodedSet) -> str:
    threads = each.facts.get("threads", "–")
    return plural(threads, "thread") if isinstance(threads, int) else f"{threads} threads"


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _made_by(each: DecodedSet) -> str:
    facts = [str(each.facts[key]) for key in ("machine", "date") if each.facts.get(key)]
    command = f"`{each.facts['command']}`" if each.facts.get("command") else "decoded"
    return f"{command}{': ' if facts else ''}{', '.join(facts)}"
