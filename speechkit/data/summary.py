"""What a corpus holds and what was refused: a table for people, JSON and TSV for programs."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from lhotse.cut import Cut
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from speechkit.data.cuts import transcript
from speechkit.utils.files import atomic_write

NUM_BINS = 10
USUAL_RATE = (2.0, 25.0)
"""Characters per second, spaces included, between which nobody has to look."""


@dataclasses.dataclass(frozen=True)
class Refused:
    """An utterance that did not make it into a split."""

    id: str
    source: str
    """Audio file, or ``file:line`` of the transcript."""

    reason: str
    """Short, the same for all of a kind."""

    detail: str
    """One sentence on this one."""


@dataclasses.dataclass(frozen=True)
class SplitSummary:
    """What one split holds."""

    count: int
    hours: float
    speakers: int
    durations: list[float]
    """Seconds: shortest, mean, longest."""

    histogram: list[int]
    """Number of utterances in each of the summary's bins."""

    characters: dict[str, int]
    """How often each occurs, most frequent first."""

    sampling_rates: dict[str, int]
    """Number of utterances for each rate in Hz."""

    channels: dict[str, int]
    """Number of utterances for each number of channels."""

    odd_rates: dict[str, float]
    """Characters per second of the utterances that speak slower or faster than usual, by id."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """The splits of a corpus and the utterances refused from it."""

    splits: dict[str, SplitSummary]
    bins: list[float]
    """Seconds: edges of the histograms, which all splits share."""

    refused: list[Refused]
    notes: list[str]

    @property
    def reasons(self) -> dict[str, int]:
        """Number of refused utterances by reason, most frequent first."""
        return dict(Counter(item.reason for item in self.refused).most_common())

    def to_dict(self) -> dict:
        """Plain values, without the refused utterances themselves."""
        splits = {name: dataclasses.asdict(split) for name, split in self.splits.items()}
        return {"splits": splits, "bins": self.bins, "refused": self.reasons, "notes": self.notes}

    def write(self, folder: Path | str) -> None:
        """Write ``summary.json`` and ``refused.tsv`` (id, source, reason, detail) into ``folder``."""
        with atomic_write(Path(folder) / "summary.json") as file:
            json.dump(self.to_dict(), file, ensure_ascii=False, indent=1)
            file.write("\n")
        with atomic_write(Path(folder) / "refused.tsv") as file:
            rows = [["id", "source", "reason", "detail"], *(dataclasses.astuple(item) for item in self.refused)]
            file.writelines("\t".join(" ".join(str(cell).split()) for cell in row) + "\n" for row in rows)

    def render(self, console: Console | None = None) -> None:
        """Print tables, histograms, and what deserves a look."""
        console = console or Console(stderr=True)
        console.print(_overview(self.splits))
        for name, split in self.splits.items():
            console.print(f"\n[bold]{escape(name)}[/bold]: durations in seconds", highlight=False)
            console.print("\n".join(bars(self.bins, split.histogram)), highlight=False)
            console.print(f"characters: {_characters(split)}", markup=False, highlight=False, soft_wrap=True)
        for line in [*self.notes, *_oddities(self.splits)]:
            console.print(f"note: {line}", markup=False, highlight=False, soft_wrap=True)
        if self.refused:
            console.print(_refusals(self))


def summarize(
    splits: Mapping[str, Iterable[Cut]], refused: Sequence[Refused] = (), notes: Sequence[str] = ()
) -> Summary:
    """Walk through the cuts of all splits once; no audio is read.

    Args:
        splits: Name to cuts, each with one transcript.
        refused: Utterances that are in no split.
        notes: Lines for the reader.

    Raises:
        ValueError: A cut has no transcript.
    """
    tallies = {name: _Tally(cuts) for name, cuts in splits.items()}
    longest = max((max(tally.durations, default=0.0) for tally in tallies.values()), default=0.0)
    bins = np.linspace(0.0, longest or 1.0, NUM_BINS + 1)
    summaries = {name: tally.summary(bins) for name, tally in tallies.items()}
    return Summary(summaries, [round(float(edge), 3) for edge in bins], list(refused), list(notes))


class _Tally:
    """Counts over the cuts of one split."""

    def __init__(self, cuts: Iterable[Cut]) -> None:
        self.durations: list[float] = []
        self.characters: Counter[str] = Counter()
        self.rates: Counter[str] = Counter()
        self.channels: Counter[str] = Counter()
        self.speakers: set[str] = set()
        self.odd: dict[str, float] = {}
        for cut in cuts:
            self._add(cut, transcript(cut))

    def _add(self, cut: Cut, text: str) -> None:
        self.durations.append(cut.duration)
        self.characters.update(text)
        self.rates[str(cut.sampling_rate)] += 1
        self.channels[str(cut.num_channels)] += 1
        if cut.supervisions[0].speaker:
            self.speakers.add(cut.supervisions[0].speaker)
        rate = len(text) / cut.duration
        if not USUAL_RATE[0] <= rate <= USUAL_RATE[1]:
            self.odd[cut.id] = round(rate, 2)

    def summary(self, bins: np.ndarray) -> SplitSummary:
        durations = np.array(self.durations)
        extremes = [durations.min(), durations.mean(), durations.max()] if len(durations) else [0.0, 0.0, 0.0]
        return SplitSummary(
            count=len(durations),
            hours=round(float(durations.sum()) / 3600, 4),
            speakers=len(self.speakers),
            durations=[round(float(value), 3) for value in extremes],
            histogram=np.histogram(durations, bins)[0].tolist(),
            characters=dict(sorted(self.characters.items(), key=lambda item: (-item[1], item[0]))),
            sampling_rates=dict(self.rates.most_common()),
            channels=dict(self.channels.most_common()),
            odd_rates=self.odd,
        )


def bars(bins: Sequence[float], counts: Sequence[int], width: int = 40) -> list[str]:
    """A histogram as one line of text per bin; the fullest bin is ``width`` characters long."""
    scale = width / max(*counts, 1)
    edges = [f"{low:6.2f} - {high:6.2f}" for low, high in zip(bins, bins[1:])]
    # A bin that is not empty shows at least one character.
    return [f"{edge} {'#' * max(round(count * scale), count > 0)} {count}" for edge, count in zip(edges, counts)]


def _overview(splits: Mapping[str, SplitSummary]) -> Table:
    table = Table(title="corpus")
    for header in ("split", "cuts", "hours", "speakers", "min s", "mean s", "max s", "Hz", "characters"):
        table.add_column(header, justify="left" if header == "split" else "right")
    for name, split in splits.items():
        seconds = [f"{value:.2f}" for value in split.durations]
        rates = ", ".join(split.sampling_rates)
        cells = [split.count, f"{split.hours:.3f}", split.speakers, *seconds, rates, len(split.characters)]
        table.add_row(escape(name), *map(str, cells))
    return table


def _refusals(summary: Summary) -> Table:
    table = Table(title=f"refused: {len(summary.refused)}")
    for header in ("reason", "count", "for example"):
        table.add_column(header, justify="right" if header == "count" else "left", overflow="fold")
    for reason, count in summary.reasons.items():
        first = next(item for item in summary.refused if item.reason == reason)
        table.add_row(reason, str(count), escape(f"{first.id}: {first.detail}"))
    return table


def _characters(split: SplitSummary) -> str:
    shown = [f"{'space' if character == ' ' else character} {count}" for character, count in split.characters.items()]
    return "  ".join(shown[:80]) + (f"  and {len(shown) - 80} more" if len(shown) > 80 else "")


def _oddities(splits: Mapping[str, SplitSummary]) -> Iterable[str]:
    for name, split in splits.items():
        if split.odd_rates:
            worst = max(split.odd_rates, key=lambda cut: abs(np.log((split.odd_rates[cut] or 0.01) / 12)))
            low, high = USUAL_RATE
            yield (
                f"{name}: {len(split.odd_rates)} utterances outside {low:g} to {high:g} characters per second, "
                f"most of all {worst} ({split.odd_rates[worst]:g}); listen whether the transcript is theirs"
            )
        unseen = sorted(set(split.characters) - set(splits["train"].characters)) if "train" in splits else []
        if unseen:
            yield f"{name}: characters that train does not have: {' '.join(unseen[:40])}"
