"""A language model directory as training leaves it, with the weights it began with."""

from __future__ import annotations

import torch
from safetensors.torch import save_file

from speechkit.models.lm.lstm import Lstm
from speechkit.text.symbols import CharTokenizer
from speechkit.utils.model_dir import write_checksums

LM = "{name: lstm, dim: 12, num_layers: 2}"


def letters(size):
    """A tokenizer of ``size`` tokens: letters, and the special three."""
    tokenizer = CharTokenizer.Config().build()
    tokenizer.fit(["abcdefghijkl"[: size - 3]])
    return tokenizer


def write_lm(folder, size=7, scale=5.0):
    """Write the model; returns its network. ``scale`` makes distributions less flat than initial ones."""
    tokenizer = letters(size)
    tokenizer.save(folder / "tokenizer")
    torch.manual_seed(0)
    network = Lstm.Config(dim=12, num_layers=2).build(vocabulary=tokenizer.vocabulary)
    network.network.embedding.weight.data *= scale
    save_file(network.state_dict(), folder / "averaged.safetensors")
    (folder / "config.yaml").write_text(f"task: lm\nlm: {LM}\n")
    write_checksums(folder)
    return network.eval()
