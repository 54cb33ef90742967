from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from report_toy import UTTERANCES, Page, write_set, write_training
from spoken_toy import rewrite, write_voice
from voice_toy import write_scored

from speechkit.report import page as page_module
from speechkit.report.page import write_report

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> \"quoted' & </article></main>"
CONFIG = "task: asr\ncorpus: {name: fsdd}\nencoder:\n  name: conformer\n  dim: 144\nobjectives:\n  ctc: {name: ctc}\n"


def report(exp_dir: Path) -> Page:
    return Page(write_report(exp_dir).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with everything."""
    exp_dir = tmp_path_factory.mktemp("exps") / "conformer-ctc"
    write_training(exp_dir)
    write_set(exp_dir, "test-clean")
    write_set(exp_dir, "test-other", UTTERANCES[:3])
    (exp_dir / "config.yaml").write_text(CONFIG)
    write_report(exp_dir)
    return exp_dir


@pytest.fixture(scope="module")
def page(whole: Path) -> Page:
    return Page((whole / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_well_formed_with_one_title_and_unique_ids(page):
    assert page.texts("h1") == ["conformer-ctc"] and page.texts("title")[0] == "conformer-ctc: speechkit report"
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.elements[0][:2] == ("html", {"lang": "en"}) and len(page.find("main")) == 1


def test_every_link_leads_to_a_part_of_the_page(page):
    ids = {attributes.get("id") for _, attributes, _ in page.elements}
    links = [attributes["href"] for attributes, _ in page.find("a")]
    assert len(links) == 7 and all(link[0] == "#" and link[1:] in ids for link in links)


def test_the_page_loads_nothing_from_elsewhere(whole, page):
    for _, attributes, _ in page.elements:
        for key in ("src", "href", "data", "poster", "action", "srcset"):
            assert (attributes.get(key) or "#").startswith(("data:", "#")), (key, attributes[key][:50])
    assert not page.find("link") and not page.find("iframe")
    text = (whole / "report.html").read_text(encoding="utf-8")
    assert "http://" not in text and "https://" not in text and "url(" not in text and "@import" not in text


def test_the_policy_allows_the_own_script_and_no_other(page):
    [(policy, _)] = [e for e in page.find("meta") if "http-equiv" in e[0]]
    [script] = [text for attributes, text in page.find("script") if not attributes]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy["content"] and "default-src 'none'" in policy["content"]
    assert not any(key.startswith("on") for _, attributes, _ in page.elements for key in attributes)


def test_the_headline_and_the_table_show_the_numbers_of_the_files(whole, page):
    rows = [
        Page(str(row)) for row in re.findall(r"<tr><th scope=.row.*?</tr>", (whole / "report.html").read_text(), re.S)
    ]
    for card, row, name in zip(page.texts("article", class_="card"), rows, ("test-clean", "test-other"), strict=True):
        wer, cer = (json.loads((whole / "decode" / name / f"{unit}.json").read_text()) for unit in ("wer", "cer"))
        facts = json.loads((whole / "decode" / name / "decode.json").read_text())
        interval = "–".join(f"{100 * border:.2f}" for border in wer["interval"])
        count = len((whole / "decode" / name / "hyps.jsonl").read_text().splitlines())
        rates = [f"{100 * wer['rate']:.2f}", interval, f"{100 * cer['rate']:.2f}"]
        assert card == f"{name}{rates[0]}% WER95 % interval {interval}CER {rates[2]} %, {count} utterances"
        assert row.texts("th") == [name]
        counts = [str(wer[key]) for key in ("sub", "ins", "del")]
        expected = [
            *rates[:2],
            *counts,
            rates[2],
            str(count),
            str(wer["ref_len"]),
            f"{facts['rtf']:.4f}",
            str(facts["threads"]),
        ]
        assert row.texts("td", class_="num") == expected
        assert row.texts("td")[-1] == "ctc_prefix_beambeam_size 8"


def test_the_drawn_interval_is_the_interval(whole):
    text = (whole / "report.html").read_text()
    widest = max(json.loads(path.read_text())["interval"][1] for path in whole.glob("decode/*/wer.json"))
    for name, drawing in zip(
        ("test-clean", "test-other"), re.findall(r"<svg[^>]*interval.*?</svg>", text), strict=True
    ):
        wer = json.loads((whole / "decode" / name / "wer.json").read_text())
        low, high = map(float, re.search(r"M([\d.]+) 9H([\d.]+)M", drawing).groups())
        assert [(x - 2) / 108 * widest for x in (low, high)] == pytest.approx(wer["interval"], abs=0.002)


def test_config_and_provenance_are_there(page):
    assert page.texts("pre") == [CONFIG.rstrip("\n")] and "encoder:" in page.texts("span", class_="key")
    assert "asr · fsdd · conformer · ctc · 2026-03-05" in page.texts("header")[0]
    for fact in ("2026-03-04 05:06:07", "2026-03-05", "An Engine, 4 cores", "speechkit decode x"):
        assert fact in page.texts("section")[-1]


def test_nothing_in_the_files_can_act_as_markup(tmp_path):
    exp_dir = tmp_path / "a & <b>"
    write_training(exp_dir)
    with open(exp_dir / "train.jsonl", "a") as file:
        file.write(
            json.dumps({"event": EVIL, "step": 170, "time": EVIL, "reason": EVIL, "cuts": [EVIL], EVIL: EVIL}) + "\n"
        )
        file.write(json.dumps({"event": "skip", "step": 170, "time": EVIL, "reason": EVIL, "cuts": [EVIL] * 99}) + "\n")
        file.write(json.dumps({"event": "valid", "step": 170, EVIL: 3.0, "losses": {EVIL: 1.0}}) + "\n")
    write_set(exp_dir, utterances=[(EVIL, f"one {EVIL}", f"won {EVIL}"), ("\ud800", "a\x00b", "\udfff")])
    facts = {key: EVIL for key in ("search", "threads", "date", "machine", "command")}
    (exp_dir / "decode" / "test" / "decode.json").write_text(json.dumps(facts))
    (exp_dir / "config.yaml").write_text(f"task: asr\nencoder: {{name: '{EVIL.replace(chr(39), '')}'}}\n{EVIL}\n")
    page = report(exp_dir)
    scripts = [attributes for attributes, _ in page.find("script") if attributes != {"type": "application/json"}]
    assert scripts == [{}] and page.find("img") == [] and len(page.find("main")) == 1
    assert page.texts("h1") == ["a & <b>"] and EVIL in page.texts("span", class_="id")
    assert EVIL in page.texts("code") and EVIL in page.texts("pre")[0]
    assert all(json.loads(text) for attributes, text in page.find("script") if attributes)


def test_training_alone_shows_the_best_validation(tmp_path):
    write_training(tmp_path / "run", end=False)
    page = report(tmp_path / "run")
    assert page.texts("article", class_="card")[0] == "Best validation6.00% WERat step 150; nothing is decoded yet"
    assert len(page.find("figure")) == 6 and page.texts("a")[1:] == ["Training", "Provenance"]


def test_decodes_alone_are_enough_scored_or_not(tmp_path):
    write_set(tmp_path / "run", scored=False)
    page = report(tmp_path / "run")
    assert "35.71% WER" in page.texts("article", class_="card")[0]
    assert "No train.jsonl in this folder." in page.texts("p") and len(page.find("audio")) == 3


def test_a_log_cut_short_by_a_crash_is_noted(tmp_path):
    write_training(tmp_path, end=False)
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert "cut short, as after a crash" in report(tmp_path).texts("ul", class_="notes")[0]


def test_results_older_than_their_hypotheses_are_noted(tmp_path):
    write_set(tmp_path)
    assert report(tmp_path).find("ul", class_="notes") == []
    path = tmp_path / "decode" / "test" / "wer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ins": 5}))
    write_set(tmp_path, "empty", [], scored=False)
    notes = report(tmp_path).texts("ul", class_="notes")[0]
    assert "decode/empty: hyps.jsonl holds no utterances" in notes
    assert f"decode/test: scored before its hypotheses were made; run `speechkit score {tmp_path}`" in notes


@pytest.mark.parametrize("made", ["nothing", "folder", "empty log", "config only"])
def test_nothing_to_report_is_one_line_with_the_remedy(tmp_path, made):
    exp_dir = tmp_path / "run"
    if made != "nothing":
        exp_dir.mkdir()
    if made == "empty log":
        (exp_dir / "train.jsonl").touch()
    if made == "config only":
        (exp_dir / "config.yaml").write_text(CONFIG)
    with pytest.raises(ValueError) as caught:
        write_report(exp_dir)
    message = str(caught.value)
    assert (
        message.startswith(f"{exp_dir}: expected train.jsonl or")
        and f"speechkit train CONFIG --exp {exp_dir}" in message
    )
    assert "\n" not in message and not (exp_dir / "report.html").exists()


def test_the_page_stays_small_and_says_what_it_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "AUDIO_BYTES", 30_000)
    write_set(tmp_path, utterances=[(f"u{i}", "one two", f"one w{i}") for i in range(40)])
    path = write_report(tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    assert sum(len(audio["src"]) for audio, _ in page.find("audio")) <= 30_000 + 40 * len(page.find("audio"))
    assert 0 < len(page.find("audio")) < 24 == len(page.find("article", class_="utterance"))
    left_out = 24 - len(page.find("audio"))
    assert f"The audio of {left_out} is left out to keep the page small." in page.texts("p", class_="note")[2]
    assert "The other 16 are left out here" in page.texts("p", class_="note")[2]


def test_many_thousand_steps_make_no_big_page(tmp_path):
    row = {
        "event": "step",
        "epoch": 0,
        "loss": 1.0,
        "grad_norm": 1.0,
        "lr": 1e-3,
        "audio_seconds": 30.0,
        "seconds": 0.5,
    }
    lines = (json.dumps({"step": step, **row}) + "\n" for step in range(1, 40_001))
    (tmp_path / "train.jsonl").write_text("".join(lines))
    assert write_report(tmp_path).stat().st_size < 250_000


def test_writing_again_replaces_the_page(tmp_path):
    write_training(tmp_path)
    assert write_report(tmp_path) == tmp_path / "report.html"
    (tmp_path / "report.html").write_text("old")
    assert write_report(tmp_path).read_text(encoding="utf-8") != "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "train.jsonl"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser, and two voices."""
    folder = tmp_path_factory.mktemp("mixed")
    write_training(folder / "ctc")
    write_set(folder / "ctc")
    for name in ("vits", "tacotron2"):
        write_training(folder / name)
        write_scored(folder / name)
    return folder


def test_the_page_of_a_voice_shows_its_scores_its_training_and_its_sound(mixed):
    page = report(mixed / "vits")
    assert page.texts("a")[1:] == ["Voices", "Listen to test", "Training", "Config", "Provenance"]
    assert page.texts("article", class_="card")[0].startswith("test25.00% WERnatural speech 0.00 %")
    assert len(page.find("audio")) == 12 and "speechkit score x" in page.texts("section")[-1]
    assert "tts · fastspeech2" in page.texts("header")[0] and "2026-03-06" in page.texts("header")[0]
    sources = [attributes["src"] for attributes, _ in page.find("img")]
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    [(policy, _)] = [e for e in page.find("meta") if "http-equiv" in e[0]]
    assert "img-src data:" in policy["content"]


def test_a_page_of_several_experiments_has_both_tables_and_everything_once(mixed):
    path = write_report(*(mixed / name for name in ("ctc", "vits", "tacotron2")), to=mixed / "all.html")
    page = Page(path.read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert path == mixed / "all.html" and len(ids) == len(set(ids))
    links = {attributes["href"][1:]: text for attributes, text in page.find("a")}
    assert set(links) <= set(ids) and links["training-2"] == "Training of tacotron2"
    assert links["set-0"] == "Errors in test (ctc)"
    assert page.texts("th")[0] == "experiment" and "synthesisedtacotron2, test" in page.texts("th")
    cards = [text.split("test")[0] for text in page.texts("article", class_="card")]
    assert cards == ["ctc, ", "vits, ", "tacotron2, "] and len(page.find("section", id="listen-0")) == 1


def test_voices_without_scores_and_those_that_have_spoken_since_are_noted(tmp_path):
    rows = write_scored(tmp_path)
    rewrite(tmp_path / "synthesis" / "test", rows[:2])
    write_voice(tmp_path, "dev", ["low"])
    notes = report(tmp_path).texts("ul", class_="notes")[0]
    assert f"synthesis/dev: not scored; run `speechkit score {tmp_path} --recognizer DIR`" in notes
    assert f"synthesis/test: scored before it was spoken; run `speechkit score {tmp_path}`" in notes
