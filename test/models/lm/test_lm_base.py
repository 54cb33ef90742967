"""The contract of every language model, over the registry, with tied embeddings and without."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import speechkit.models.lm  # noqa: F401 - registers them
from speechkit.config import validate
from speechkit.models.lm.base import LanguageModel, load_language_model
from speechkit.text.symbols import CharTokenizer
from speechkit.text.vocabulary import Vocabulary
from speechkit.utils.model_dir import write_checksums

V = 7
SMALL = {"dim": 12, "num_layers": 2, "num_heads": 3, "ff_dim": 20, "dropout": 0.0}
TOKENS, LENS = torch.tensor([[2, 5, 3, 3, 1], [4, 2, 0, 0, 0], [0, 0, 0, 0, 0]]), torch.tensor([5, 2, 0])


def build(name: str, **options) -> LanguageModel:
    torch.manual_seed(0)
    fields = LanguageModel.registry[name].Config.model_fields
    chosen = {"name": name, **{key: value for key, value in SMALL.items() if key in fields}, **options}
    return validate(LanguageModel.registry[name].Config, chosen).build(vocabulary=Vocabulary(V)).double()


@pytest.fixture(params=[(name, tied) for name in sorted(LanguageModel.registry) for tied in (True, False)], ids=str)
def lm(request):
    name, tied = request.param
    return build(name, tie_embeddings=tied).eval()


def with_start(tokens):
    return F.pad(tokens, (1, 0), value=V - 1)


def test_token_by_token_equals_all_at_once(lm):
    expected = lm(with_start(TOKENS[:1]), LENS[:1] + 1).log_softmax(-1)[0]
    state = lm.start(1)
    for u, token in enumerate(with_start(TOKENS[:1])[0]):
        log_probs, state = lm.step(token[None], state)
        torch.testing.assert_close(log_probs[0], expected[u])


def test_no_position_sees_a_later_token(lm):
    tokens = with_start(TOKENS[:1])
    before = lm(tokens, LENS[:1] + 1)
    for u in range(1, 6):
        changed = tokens.clone()
        changed[0, u] = 4 if tokens[0, u] != 4 else 2
        after = lm(changed, LENS[:1] + 1)
        torch.testing.assert_close(after[:, :u], before[:, :u], rtol=0, atol=0)
        assert not torch.allclose(after[:, u], before[:, u])


def test_nats_are_the_sum_over_tokens_and_the_end_whatever_the_padding(lm):
    garbage = TOKENS.clone()
    garbage[1, 2:], garbage[2] = -1, 99
    nats = lm.nats(garbage, LENS)
    for b, length in enumerate(LENS.tolist()):
        state, total = lm.start(1), 0.0
        for token, following in zip([V - 1, *TOKENS[b, :length]], [*TOKENS[b, :length], V - 1]):
            log_probs, state = lm.step(torch.tensor([int(token)]), state)
            total -= log_probs[0, int(following)]
        torch.testing.assert_close(nats[b], total)


def test_the_probabilities_of_all_sentences_of_a_length_and_their_beginnings_add_up(lm):
    """Sentences of one token that end, and those of two or more, together have the probability 1."""
    ends_at_once = lm.nats(torch.zeros(1, 0, dtype=torch.int64), torch.tensor([0])).neg().exp()
    inner = torch.arange(V - 1)
    one = lm.nats(inner[:, None], torch.ones(V - 1, dtype=torch.int64)).neg().exp().sum()
    first = lm(with_start(inner[:, None]), torch.full((V - 1,), 2)).log_softmax(-1)
    longer = (first[0, 0, inner].exp() * (1 - first[:, 1, V - 1].exp())).sum()
    torch.testing.assert_close(ends_at_once + one + longer, torch.ones(1, dtype=torch.float64))


def test_states_of_different_length_are_selected_joined_and_left_as_they_were(lm):
    def read(tokens):
        state = lm.start(1)
        for token in [V - 1, *tokens]:
            log_probs, state = lm.step(torch.tensor([token]), state)
        return log_probs, state

    long, short = read([2, 5, 3])[1], read([4])[1]
    both = lm.select(lm.concat([long, short]), torch.tensor([1, 0, 1]))
    log_probs, _ = lm.step(torch.tensor([2, 3, 5]), both)
    expected = [read([4, 2])[0], read([2, 5, 3, 3])[0], read([4, 5])[0]]
    torch.testing.assert_close(log_probs, torch.cat(expected))
    torch.testing.assert_close(lm.step(torch.tensor([2, 3, 5]), both)[0], log_probs, rtol=0, atol=0)


def test_the_gradient_reaches_every_parameter(lm):
    lm.train().nats(TOKENS, LENS).sum().backward()
    for name, parameter in lm.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_tied_embeddings_save_a_matrix_and_every_name_is_saved_once():
    for name in LanguageModel.registry:
        tied, untied = (build(name, tie_embeddings=tie) for tie in (True, False))
        sizes = [sum(p.numel() for p in lm.parameters()) for lm in (tied, untied)]
        assert sizes[1] - sizes[0] == V * SMALL["dim"]
        pointers = [tensor.data_ptr() for tensor in tied.state_dict().values()]
        assert len(set(pointers)) == len(pointers)  # safetensors refuses shared memory


def test_dropout_acts_in_training_only():
    for name in LanguageModel.registry:
        lm = build(name, dropout=0.5)
        assert not torch.equal(lm.nats(TOKENS, LENS), lm.nats(TOKENS, LENS))
        lm.eval()
        assert torch.equal(lm.nats(TOKENS, LENS), lm.nats(TOKENS, LENS))


def test_half_precision_logits_give_float32_log_probs():
    lm = build("lstm").float().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert lm.nats(TOKENS, LENS).dtype == torch.float32
        assert lm.step(torch.tensor([6]), lm.start(1))[0].dtype == torch.float32


@pytest.fixture
def model_dir(tmp_path):
    from safetensors.torch import save_file

    tokenizer = CharTokenizer.Config().build()
    tokenizer.fit(["abcd"])
    tokenizer.save(tmp_path / "tokenizer")
    (tmp_path / "config.yaml").write_text("task: lm\nlm: {name: lstm, dim: 12, dropout: 0.3}\n")
    save_file(build("lstm").float().state_dict(), tmp_path / "averaged.safetensors")
    write_checksums(tmp_path)
    return tmp_path


def test_a_finished_model_is_read_back(model_dir):
    lm, tokenizer = load_language_model(model_dir)
    assert not lm.training and tokenizer.encode("ad") == [2, 5]
    torch.testing.assert_close(lm.nats(TOKENS, LENS), build("lstm").float().eval().nats(TOKENS, LENS))


def test_what_is_no_language_model_is_refused(model_dir):
    (model_dir / "averaged.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="averaged.safetensors: altered"):
        load_language_model(model_dir)
    (model_dir / "config.yaml").write_text("task: asr\n")
    write_checksums(model_dir)
    with pytest.raises(ValueError, match=r"config.yaml: expected the experiment of a language model .task: lm., got task: asr"):
        load_language_model(model_dir)
