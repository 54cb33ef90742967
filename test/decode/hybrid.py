"""Tiny hybrid models for tests of searches: an attention decoder and a CTC decoder, in double precision."""

from __future__ import annotations

import itertools

import torch

from speechkit.data.batch import Targets
from speechkit.models.decoder.las import Las
from speechkit.models.decoder.linear import Linear
from speechkit.models.decoder.transformer import TransformerDecoder
from speechkit.objectives.attention import AttentionObjective
from speechkit.objectives.ctc import CtcObjective
from speechkit.text.vocabulary import Vocabulary

D, V, S = 7, 5, 6
VOCABULARY = Vocabulary(V)
LENS = torch.tensor([6, 4, 0])
DECODERS = {
    "transformer": TransformerDecoder.Config(dim=6, num_layers=2, num_heads=3, ff_dim=5),
    "las": Las.Config(dim=5, attention_dim=3, num_filters=2, kernel_size=3),
}


def model(name="transformer", seed=0):
    """Decoders with distributions that are neither flat nor certain."""
    torch.manual_seed(seed)
    attention = DECODERS[name].build(in_dim=D, vocabulary=VOCABULARY)
    ctc = Linear.Config(dropout=0.0).build(in_dim=D, vocabulary=VOCABULARY)
    for decoder in (attention, ctc):
        torch.nn.init.normal_(decoder.out.weight, std=1.5 * decoder.out.in_features**-0.5)
    ctc.out.bias.data[V - 1] = -50.0  # no transcript has the end in it
    return torch.nn.ModuleDict({"attention": attention, "ctc": ctc}).double().eval()


def encodings(seed=0, batch=3, frames=S):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, D, generator=generator, dtype=torch.float64)


def search(name_class, **options):
    """A search built with these options."""
    return name_class.Config(**options).build(vocabulary=VOCABULARY)


def log_likelihoods(decoders, encoder_out, lens, sentences):
    """What the two objectives say of each sentence about one utterance: lists of log-probabilities (attention, ctc)."""
    count = len(sentences)
    token_lens = torch.tensor([len(each) for each in sentences])
    tokens = torch.ones(count, max(1, int(token_lens.max())), dtype=torch.int64)
    for row, sentence in zip(tokens, sentences):
        row[: len(sentence)] = torch.tensor(sentence, dtype=torch.int64)
    repeated = encoder_out.expand(count, -1, -1), lens.expand(count), Targets(tokens, token_lens)
    attention = AttentionObjective.Config(label_smoothing=0.0).build(vocabulary=VOCABULARY)
    ctc = CtcObjective.Config().build(vocabulary=VOCABULARY)
    with torch.no_grad():
        possible = ctc.alignable(*repeated[1:])
        ctc_scores = (-ctc(decoders["ctc"], *repeated)).where(possible, -torch.inf)
        return (-attention(decoders["attention"], *repeated)).tolist(), ctc_scores.tolist()


def all_sentences(max_len):
    """Every sequence of the tokens that can be said."""
    return [list(each) for length in range(max_len + 1) for each in itertools.product(range(1, V - 1), repeat=length)]
