"""The page's part where one listens: recordings beside what voices say, seen, heard, and as a recogniser heard them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from speechkit.config import ConfigError
from speechkit.features.pitch import AutocorrelationPitch
from speechkit.report.chart import Chart
from speechkit.report.clips import ClipBudget
from speechkit.report.curve import step_curve
from speechkit.report.html import Html, details, h, join
from speechkit.report.numbers import plural
from speechkit.report.picture import picture, spectrogram
from speechkit.report.utterances import aligned_text, key_line
from speechkit.report.voices import MEASURES, PROBLEMS, ScoredVoice
from speechkit.tasks.base import load_config
from speechkit.tasks.voice_distance import Look, VoiceMeter

SHOWN = ("MCD dB", "log F0 RMSE", "voicing %", "length %")
MAX_SECONDS = 60.0  # of what is drawn; the players have the same limit
DEFAULT_RATE = 16000  # Hz, of pictures where the config of the experiment cannot be read


@dataclass(frozen=True)
class Version:
    """One way in which all utterances of a set can be heard.

    Args:
        title: For its heading.
        voice: Whose set it is in.
        kind: natural, vocoded or synthesised.
    """

    title: str
    voice: ScoredVoice
    kind: str


def listening_section(voices: Sequence[tuple[str, ScoredVoice]], num: int, clips: ClipBudget, anchor: str) -> Html:
    """Some utterances of a set: the worst, the best, and some that chance has chosen.

    Args:
        voices: Names of experiments, and what each has spoken of the same set; the first decides which are worst.
        num: How many utterances to show.
        clips: What their audio may still take.
        anchor: Id of the section.
    """
    first = voices[0][1]
    page = _Listening(voices, clips)
    groups = [(title, ids) for title, ids in choose(first, num).items() if ids]
    parts = [[h("h3", title), [page.utterance(id) for id in ids]] for title, ids in groups]
    shown, rows = sum(len(ids) for _, ids in groups), len(first.spoken.rows)
    notes = [f"{shown} of {plural(rows, 'utterance')} are here; synthesis/{first.name} has all."]
    notes += ["The audio of some is left out to keep the page small."] if clips.left_out else []
    notes += ["Not scored yet, so all are chosen by chance."] if not first.scores else []
    notes += ["Spectrograms show 70 dB below their loudest place, up to 8 kHz at most, all on the same scale of time."]
    notes += [f"The numbers beside their names are those of {voices[0][0]}."] if len(voices) > 1 else []
    key = key_line("Above: the text. Below: what the recogniser heard; a click on a word plays from there.")
    head = [h("h2", "Listen to ", first.name), h("p", " ".join(notes), class_="note"), key if first.recognizer else None]
    return h("section", head, parts, id=anchor)


def choose(voice: ScoredVoice, num: int) -> dict[str, list[str]]:
    """Ids of utterances by heading: half of ``num`` are the worst, a quarter the best, the others from between.

    Worst is what is not speech at all, then by character errors, then by distance from the recording.
    """
    ids = [row["id"] for row in voice.spoken.rows]
    ranked = sorted(ids, key=lambda id: (_badness(voice.scores.get(id, {})), id), reverse=True)
    if not voice.scores:
        return {"Utterances": sorted(random.Random(0).sample(ids, min(num, len(ids))))}
    if len(ids) <= num:
        return {"All utterances, the worst first": ranked}
    best, worst = num // 4, num - 2 * (num // 4)
    between = random.Random(0).sample(ranked[worst : len(ranked) - best], best)
    return {"Worst": ranked[:worst], "By chance": sorted(between), "Best": ranked[len(ranked) - best :][::-1]}


def _badness(scores: dict[str, Any]) -> tuple[int, float, float]:
    wrong = sum((not scores.get("finite", True), bool(scores.get("silent")), not scores.get("finished", True)))
    return wrong, scores.get("cer") or 0.0, scores.get("mcd") or 0.0


class _Listening:
    """Makes the articles about the utterances of a set."""

    def __init__(self, voices: Sequence[tuple[str, ScoredVoice]], clips: ClipBudget) -> None:
        self.voices, self.clips = voices, clips
        self.meter = _meter(voices[0][1])
        self.rows = {id(voice): {row["id"]: row for row in voice.spoken.rows} for _, voice in voices}
        self.versions = [Version("Natural", voices[0][1], "natural")] if "natural" in voices[0][1].kinds else []
        for name, voice in voices:
            suffix = f", {name}" if len(voices) > 1 else ""
            kinds = [kind for kind in ("vocoded", "synthesised") if kind in voice.kinds]
            self.versions += [Version(kind.capitalize() + suffix, voice, kind) for kind in kinds]

    def utterance(self, name: str) -> Html:
        """Everything about one utterance."""
        looks = [self._look(version, name) for version in self.versions]
        there = [(version, look) for version, look in zip(self.versions, looks) if self._row(version, name)]
        longest = max((len(look.pitch) for _, look in there if isinstance(look, Look)), default=1)
        shown = h("div", [self._version(*each, name, longest) for each in there], class_="versions")
        text = self.rows[id(self.voices[0][1])][name]["text"]
        plain = None if name in self.voices[0][1].scores and self.voices[0][1].recognizer else h("p", text, dir="auto")
        return h("article", self._header(name), plain, shown, self._more(there, name), class_="utterance")

    def _row(self, version: Version, name: str) -> dict[str, Any] | None:
        row = self.rows[id(version.voice)].get(name)
        return row if row is not None and version.voice.spoken.place(row, version.kind) else None

    def _look(self, version: Version, name: str) -> Look | str:
        """What is drawn, or the reason why nothing is."""
        row = self._row(version, name)
        try:
            wav = None if row is None else version.voice.spoken.read(row, version.kind, self.meter.sampling_rate)
        except ValueError as error:
            return str(error)
        if wav is None or not len(wav) or not np.isfinite(wav).all():
            return "no finite samples"
        if len(wav) > MAX_SECONDS * self.meter.sampling_rate:
            return f"longer than {MAX_SECONDS:.0f} s"
        return self.meter.look(wav)

    def _header(self, name: str) -> Html:
        row, scores = self.rows[id(self.voices[0][1])][name], self.voices[0][1].scores.get(name, {})
        facts = [f"{key.upper()} {100 * scores[key]:.1f} %" for key in ("cer", "wer") if scores.get(key) is not None]
        for column in SHOWN:
            key, form, scale = MEASURES[column]
            if scores.get(key) is not None:
                unit = _unit(column)
                facts.append(f"{column.removesuffix(unit)} {form.format(scale * scores[key])}{unit}")
        wrong = [text for key, text in PROBLEMS.items() if _is_wrong(scores, key)]
        tags = [h("span", text, class_="tag bad") for text in wrong]
        speaker = h("span", row["speaker"]) if row.get("speaker") else None
        return h("header", h("span", name, class_="id"), speaker, [h("span", fact) for fact in facts], tags)

    def _version(self, version: Version, look: Look | str, name: str, longest: int) -> Html:
        """Heading, player, picture, and what the recogniser heard."""
        seconds = len(look.pitch) / 100 if isinstance(look, Look) else None
        head = h("h4", version.title, h("span", f" {seconds:.2f} s", class_="soft") if seconds else None)
        row = self._row(version, name)
        label = f"{version.title.lower()} speech of {name}"
        player = self.clips.player({"audio": version.voice.spoken.place(row, version.kind)}, label)
        if isinstance(look, Look):
            drawn = spectrogram(look.log_mel, f"spectrogram of {label}")
            shown = h("div", drawn, class_="picture", style=f"--part:{len(look.pitch) / longest:.3f}")
        else:
            shown = h("p", f"no picture: {look}", class_="note")
        return h("div", head, player, shown, self._heard(version, name), class_="version")

    def _heard(self, version: Version, name: str) -> Html | None:
        report = version.voice.errors(version.kind, [name])
        if report is None:
            return None
        [errors] = report.utterances
        words = version.voice.scores[name]["hyps"][version.kind].get("words") or []
        return aligned_text(errors.alignment, words, version.voice.unit)

    def _more(self, there: Sequence[tuple[Version, Look | str]], name: str) -> Html | None:
        """Pitch, attention and durations."""
        seen = [(version, look) for version, look in there if isinstance(look, Look) and version.kind != "vocoded"]
        curves = [step_curve(v.title.lower(), _seconds(look.pitch), _voiced(look.pitch), smooth=False) for v, look in seen]
        row = self.rows[id(self.voices[0][1])][name]
        if row.get("pitch") and len(self.voices) == 1:
            asked = np.array(row["pitch"], dtype=np.float64)
            x = (np.arange(len(asked)) + 0.5) * row.get("frame_shift", 0.01)
            curves.append(step_curve("asked of the decoder", x, _voiced(asked), smooth=False))
        curves = [curve for curve in curves if np.isfinite(curve.y).any()]
        pitch = Chart("Pitch", "Hz", curves, x_label="seconds").html() if curves else None
        having = [(title, voice) for title, voice in self.voices if name in self.rows[id(voice)]]
        said = [part for title, voice in having for part in self._timing(title, voice, name)]
        if pitch is None and not said:
            return None
        return details("Pitch and durations", h("div", pitch, said, class_="charts"))

    def _timing(self, title: str, voice: ScoredVoice, name: str) -> Iterator[Html]:
        """The attention, and how long each token lasts."""
        row = self.rows[id(voice)][name]
        of = f" of {title}" if len(self.voices) > 1 else ""
        try:
            weights = voice.spoken.alignment(row)
        except ValueError as error:
            weights = None
            yield h("p", str(error), class_="note")
        frames = row.get("token_frames") or []
        strip = _strip(row.get("tokens") or [], frames, row.get("frame_shift", 0.01), f"durations{of} in {name}")
        if weights is None or not weights.size:
            caption, drawn = h("strong", f"Durations{of}"), None
        else:
            unit = "decoder steps to the right, tokens upwards"
            caption = join([h("strong", f"Attention{of}"), " ", h("span", unit, class_="unit")])
            drawn = h("div", picture(weights, f"attention{of} in {name}: {unit}"), class_="picture")
        if drawn or strip:
            yield h("figure", h("figcaption", caption), drawn, strip, class_="timing")


def _strip(tokens: Sequence[str], frames: Sequence[int], frame_shift: float, label: str) -> Html | None:
    """The tokens as boxes as wide as they last."""
    if not tokens or len(tokens) != len(frames):
        return None
    boxes = [
        h("span", token, title=f"{token}: {1000 * n * frame_shift:.0f} ms", style=f"--n:{n}", class_=None if n else "none")
        for token, n in zip(tokens, frames)
    ]
    return h("div", boxes, class_="tokens", tabindex=0, role="region", aria_label=label)


def _meter(voice: ScoredVoice) -> VoiceMeter:
    """What draws: as the experiment measures, or by default where its config cannot be read."""
    try:
        config = load_config(voice.spoken.folder.parents[1] / "config.yaml", task="tts")
        return VoiceMeter(config.featurizer.sampling_rate, config.pitch)
    except (ConfigError, OSError):  # of another version, or with parts that an --import registered
        return VoiceMeter(DEFAULT_RATE, AutocorrelationPitch.Config())


def _seconds(pitch: np.ndarray) -> np.ndarray:
    return (np.arange(len(pitch)) + 0.5) / 100


def _voiced(pitch: np.ndarray) -> np.ndarray:
    """Without the frames that have no pitch: gaps."""
    return np.where(pitch > 0, pitch, np.nan).astype(np.float64)


def _unit(column: str) -> str:
    """The end of a column's name."""
    return " %" if column.endswith("%") else " dB" if column.endswith("dB") else ""


def _is_wrong(scores: dict[str, Any], problem: str) -> bool:
    positive = {"not_finite": "finite", "unfinished": "finished"}
    if problem in positive:
        return scores.get(positive[problem]) is False
    return bool(scores.get(problem))
