"""The results of voices as tables: for the terminal, and as Markdown that puts several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from speechkit.report.numbers import plural
from speechkit.report.voices import (
    MEASURES,
    ScoredVoice,
    kinds_of,
    measure_cells,
    rate_cells,
    read_voices,
    shown_measures,
    size_of,
    speed_of,
    vocoder_of,
)

# What a terminal has room for, under shorter names.
NARROW = {"MCD dB": "MCD dB", "log F0 RMSE": "log F0", "voicing %": "voicing %"}


def voice_table(exp_dir: Path, sets: Sequence[str] = ()) -> Table:
    """Scores of spoken sets, narrow enough for a terminal of 80 columns: how they were made stands below.

    Args:
        exp_dir: The experiment.
        sets: Names; all unless given.
    """
    voices = [each for each in read_voices(exp_dir) if not sets or each.name in sets]
    caption = "\n".join(line for each in voices for line in _notes(each))
    # Text, because a plain string with brackets would be read as markup.
    table = Table(title=Text(str(exp_dir)), title_justify="left", caption=Text(caption), caption_justify="left")
    table.box, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, True
    table.add_column("set", overflow="fold")
    table.add_column("speech", no_wrap=True)
    rates = any(each.recognizer for each in voices)
    for column in [*(("WER %", "95 % interval", "CER %") if rates else ()), *NARROW.values()]:
        table.add_column(column, justify="right", style="bold" if column in ("WER %", "MCD dB") else None, no_wrap=True)
    for each in voices:
        for kind in kinds_of(each):
            heard = rate_cells(each, kind)[:3] if rates else []
            table.add_row(*map(Text, [each.name, kind, *heard, *measure_cells(each, kind, list(NARROW))[::2]]))
    return table


def voices_markdown(exp_dirs: Sequence[Path]) -> str:
    """Several voices side by side: a row for each kind of speech of each set, with 95 % intervals; below, what heard and
    made them.

    Raises:
        ValueError: Nothing was spoken yet.
    """
    found = [(exp_dir.name, each) for exp_dir in exp_dirs for each in read_voices(exp_dir)]
    columns = shown_measures([each for _, each in found])
    head = ["experiment", "set", "speech", "WER %", "CER %", *columns, "problems", "parameters", "vocoder", "RTF"]
    words = {"experiment", "set", "speech", "vocoder", "problems"}
    lines = [head, [":--" if name in words else "--:" for name in head]]
    lines += [_cells(name, each, kind, columns) for name, each in found for kind in kinds_of(each)]
    made = dict.fromkeys(line for _, each in found for line in _made_by(each))
    cells = "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
    return cells + "".join(f"\n{line}\n" for line in made)


def _cells(name: str, each: ScoredVoice, kind: str, columns: Sequence[str]) -> list[str]:
    values = [*rate_cells(each, kind), *measure_cells(each, kind, columns)]
    pairs = zip(values[::2], values[1::2])
    cells = [name, each.name, kind, *(f"{value} ({interval})" if interval != "–" else value for value, interval in pairs)]
    if kind != "synthesised":
        return [*cells, "–", "–", vocoder_of(each) if kind == "vocoded" else "–", "–"]
    return [*cells, ", ".join(each.problems()) or "none", size_of(each), vocoder_of(each), speed_of(each)]


def _notes(each: ScoredVoice) -> list[str]:
    """Whatever has no column."""
    heard = f"heard by {each.recognizer}" if each.recognizer else "no --recognizer, so no error rates"
    size = f"{plural(len(each.spoken.rows), 'utterance')}, {', '.join(each.problems()) or 'nothing wrong with any'}"
    made = f"RTF {speed_of(each)}, parameters {size_of(each)}, vocoder {vocoder_of(each)}"
    lines = [f"{each.name}: {heard}; {size}", f"{each.name}: {made}"]
    others = [column for column in MEASURES if column not in NARROW and each.measure(MEASURES[column][0])]
    values = measure_cells(each, "synthesised", others)[::2]
    lines += [f"{each.name}: " + ", ".join(f"{name} {value}" for name, value in zip(others, values))] if others else []
    return lines + [f"{each.name}: left out: {reason}" for reason in each.totals.get("left_out", [])]


def _made_by(each: ScoredVoice) -> list[str]:
    heard = [f"Heard by {each.recognizer}."] if each.recognizer else []
    return heard + ([f"{each.totals['machine']}, {each.totals['date']}"] if each.totals.get("machine") else [])
