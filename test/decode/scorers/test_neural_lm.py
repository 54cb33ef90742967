from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lm_toy import letters, write_lm

from speechkit.config import ConfigError, validate
from speechkit.decode.scorers.neural_lm import NeuralLmScorer
from speechkit.text.vocabulary import Vocabulary

TEXT = [2, 5, 3, 3, 4]


def build(folder, tokenizer=None, **options):
    tokenizer = tokenizer or letters(7)
    model_dir = options.pop("model_dir", None)
    config = validate(NeuralLmScorer.Config, {"model": str(folder), **options})
    return config.build(vocabulary=tokenizer.vocabulary, tokenizer=tokenizer, model_dir=model_dir)


def test_the_scores_of_a_sentence_and_its_end_are_its_log_probability(tmp_path):
    network, scorer = write_lm(tmp_path), build(tmp_path)
    state, total = scorer.start({}, 1), 0.0
    for token in TEXT:
        total += scorer.score(state)[0, token]
        state = scorer.advance(state, torch.tensor([0]), torch.tensor([token]))
    total += scorer.score(state)[0, 6]
    torch.testing.assert_close(-total, network.nats(torch.tensor([TEXT]), torch.tensor([5]))[0])


def test_a_temperature_flattens_and_one_changes_nothing(tmp_path):
    network = write_lm(tmp_path)
    logits = network(torch.tensor([[6]]), torch.tensor([1]))[0, 0].detach()
    for temperature in (1.0, 3.0):
        score = build(tmp_path, temperature=temperature)
        torch.testing.assert_close(score.score(score.start({}, 1))[0], (logits / temperature).log_softmax(-1))
    with pytest.raises(ConfigError, match="temperature: expected greater than 0"):
        build(tmp_path, temperature=0.0)


def test_the_model_may_lie_in_the_recognisers_folder(tmp_path):
    write_lm(tmp_path / "recogniser" / "lm")
    build(Path("lm"), model_dir=tmp_path / "recogniser")
    with pytest.raises(ValueError, match="lm: expected a model directory, found nothing.*; train a language model .task: lm"):
        build(Path("lm"), model_dir=tmp_path)


def test_other_tokens_than_the_recognisers_are_refused_by_the_first_that_differs(tmp_path):
    write_lm(tmp_path)
    other = letters(7)
    other.tokens[4] = "z"
    with pytest.raises(ValueError, match=r"another token 4: 'c' instead of 'z'; train it with tokenizer_from"):
        build(tmp_path, other)
    with pytest.raises(ValueError, match=r"recogniser's 9 tokens, got another token 6: '<sos/eos>' instead of 'e'"):
        build(tmp_path, letters(9))
    with pytest.raises(ValueError, match=r"recogniser's 5 tokens, got another token 4: 'c' instead of '<sos/eos>'"):
        build(tmp_path, letters(5))
    with pytest.raises(ValueError, match="expected the recogniser's tokenizer"):
        NeuralLmScorer.Config(model=tmp_path).build(vocabulary=Vocabulary(7))
