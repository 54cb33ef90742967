"""What the documents tell people to type works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from speechkit.cli.main import import_file, parse
from speechkit.models.encoder.base import Encoder
from speechkit.tasks.base import load_config

ROOT = Path(__file__).resolve().parents[1]


def block(document: str, language: str, holding: str) -> str:
    """The first block of ``language`` in docs/``document`` that holds a string."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / document).read_text(encoding="utf-8"), re.DOTALL)
    return next(each for each in blocks if holding in each)


DOCUMENTS = [path for pattern in ("*.md", "docs/*.md", "egs/*/*/*.md") for path in sorted(ROOT.glob(pattern))]


def commands(document: Path) -> list[list[str]]:
    """What its shell blocks call `speechkit` with."""
    blocks = re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    lines = re.sub(r"\\\n|<<'(\w+)'.*?\n\1$", " ", "\n".join(blocks), flags=re.DOTALL | re.MULTILINE).splitlines()
    found = []
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words = [*lexer, ";"]
        while words:
            end = next(i for i, word in enumerate(words) if set(word) <= set("|&;<>"))
            command, words = words[:end], words[end + 1 :]
            if command[:1] == ["speechkit"]:
                found.append(command[1:])
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_program_takes_the_commands_of_the_documents(document):
    for command in commands(document):
        parse(command)  # what it does not take ends the program
    assert document.name != "README.md" or document.parent != ROOT or len(commands(document)) > 15


def test_the_configs_of_voices_in_the_documents_load(monkeypatch):
    monkeypatch.chdir(ROOT / "egs" / "mini" / "tts")
    all_commands = [command for document in DOCUMENTS for command in commands(document)]
    voices = [command for command in all_commands if command[:2] == ["train", "conf/voice.yaml"]]
    for command in voices:
        overrides = [each.replace("$layers", "../../conf/tts") for each in parse(command).overrides]
        assert load_config("conf/voice.yaml", overrides).model.name == "tacotron2"
    assert len(voices) == 3


def test_the_encoder_of_add_a_model_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Encoder, "registry", dict(Encoder.registry))
    (tmp_path / "mine.py").write_text(block("add_a_model.md", "python", "Encoder"))
    import_file(str(tmp_path / "mine.py"))
    torch.manual_seed(0)
    encoder = Encoder.registry["dilated"].Config(dim=8, subsampling_factor=2).build(in_dim=23).eval()
    feats, lens = torch.randn(2, 41, 23), torch.tensor([41, 29])
    out, out_lens = encoder(feats, lens)
    alone, _ = encoder(feats[1:, :29], lens[1:])
    assert out.shape == (2, out_lens[0], 8)
    torch.testing.assert_close(out[1, : out_lens[1]], alone[0, : out_lens[1]])


def test_the_config_of_add_a_corpus_loads_and_the_walk_is_short(tmp_path):
    shell = block("add_a_corpus.md", "bash", "YAML")
    conf = tmp_path / "egs" / "mycorpus" / "asr" / "conf" / "ctc.yaml"
    conf.parent.mkdir(parents=True)
    (tmp_path / "egs" / "conf").symlink_to(ROOT / "egs" / "conf")
    conf.write_text(re.search(r"<<'YAML'\n(.*?)YAML\n", shell, re.DOTALL)[1])
    config = load_config(conf)
    assert config.corpus.name == "folder" and config.tokenizer.vocab_size == 200
    assert len(shell.splitlines()) < 40


def test_the_configs_of_objectives_load(tmp_path):
    document = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    for number, text in enumerate(blocks):
        conf = tmp_path / f"{number}.yaml"
        conf.write_text(f"base: {ROOT}/egs/conf/asr/conformer_small.yaml\n{text}", encoding="utf-8")
        assert load_config(conf).search.name in text
    assert len(blocks) >= 2


def test_every_layer_of_objectives_fits_every_config_of_the_recipes():
    layers = sorted((ROOT / "egs" / "conf" / "asr" / "objectives").glob("*.yaml"))
    confs = [path for path in sorted((ROOT / "egs").glob("*/asr/conf/*.yaml")) if path.name != "lm.yaml"]
    for layer in layers:
        for conf in confs:
            config = load_config(conf, [str(layer)])
            assert config.objectives and config.valid_search
    assert len(layers) > 9 and len(confs) > 7
