"""The contract of every predictor, over the registry; a new one is tested by being there."""

from __future__ import annotations

import pytest
import torch

import speechkit.models.predictor  # noqa: F401 - registers them
from speechkit.config import validate
from speechkit.models.predictor.base import Predictor
from speechkit.text.vocabulary import Vocabulary

V, U = 11, 7
SMALL = {"dim": 12, "num_layers": 2, "num_heads": 3, "ff_dim": 20}
TOKEN_LENS = torch.tensor([7, 4, 0])


def variants() -> list[dict]:
    cases = []
    for name, cls in Predictor.registry.items():
        fields = cls.Config.model_fields
        small = {"name": name, **{key: value for key, value in SMALL.items() if key in fields}}
        cases.append(small)
        cases += [{**small, "context_size": k} for k in (1, 3) if "context_size" in fields]
        cases += [{**small, "left_context": k} for k in (0, 2) if "left_context" in fields]
    return cases


def build(options: dict) -> Predictor:
    torch.manual_seed(0)
    return validate(Predictor.registry[options["name"]].Config, options).build(vocabulary=Vocabulary(V)).double().eval()


def tokens(batch_size: int = 3) -> torch.Tensor:
    return torch.randint(1, V - 1, (batch_size, U), generator=torch.Generator().manual_seed(1))


def stepped(predictor: Predictor, labels: torch.Tensor) -> torch.Tensor:
    """Predictions (N, U + 1, P) of the search's way."""
    predicted, state = predictor.start(len(labels))
    rows = [predicted]
    for column in labels.unbind(1):
        predicted, state = predictor.step(column, state)
        rows.append(predicted)
    return torch.stack(rows, dim=1)


def case_id(options: dict) -> str:
    return "-".join(str(value) for key, value in options.items() if key not in SMALL)


every_variant = pytest.mark.parametrize("options", variants(), ids=case_id)


@every_variant
def test_step_by_step_equals_all_at_once(options):
    predictor = build(options)
    whole = predictor(tokens(), torch.full((3,), U))
    assert whole.shape == (3, U + 1, predictor.out_dim)
    torch.testing.assert_close(stepped(predictor, tokens()), whole, rtol=1e-10, atol=1e-10)


@every_variant
def test_no_prediction_looks_ahead(options):
    predictor = build(options)
    whole, other = predictor(tokens(), torch.full((3,), U)), tokens()
    other[:, 4:] = (other[:, 4:] + 1) % (V - 2) + 1
    changed = predictor(other, torch.full((3,), U))
    torch.testing.assert_close(changed[:, :5], whole[:, :5], rtol=1e-10, atol=1e-10)
    assert (changed[:, 5:] - whole[:, 5:]).abs().sum(-1).gt(1e-3).all()


@every_variant
def test_padding_of_any_value_and_other_sequences_change_nothing(options):
    predictor, padded = build(options), tokens()
    for b, length in enumerate(TOKEN_LENS):
        padded[b, length:] = 77  # no token at all
    together = predictor(padded, TOKEN_LENS)
    assert together.isfinite().all()
    for b, length in enumerate(TOKEN_LENS.tolist()):
        alone = predictor(tokens()[b : b + 1, :length], TOKEN_LENS[b : b + 1])
        torch.testing.assert_close(together[b, : length + 1], alone[0], rtol=1e-10, atol=1e-10)


@every_variant
def test_the_gradient_reaches_every_parameter(options):
    predictor = build(options).train()
    predicted = predictor(tokens(), torch.full((3,), U))
    (predicted * torch.randn_like(predicted)).sum().backward()
    for name, parameter in predictor.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@every_variant
def test_histories_of_different_length_can_be_selected_and_joined(options):
    predictor = build(options)
    _, one = predictor.start(2)
    _, two = predictor.step(torch.tensor([2, 3]), one)
    before = [part.clone() for part in two]
    joined = predictor.concat([predictor.select(one, torch.tensor([1])), predictor.select(two, torch.tensor([1, 0, 1]))])
    predicted, _ = predictor.step(torch.tensor([4, 5, 6, 5]), joined)
    for row, labels in zip(predicted, [[4], [3, 5], [2, 6], [3, 5]], strict=True):
        torch.testing.assert_close(row, stepped(predictor, torch.tensor([labels]))[0, -1], rtol=1e-10, atol=1e-10)
    predictor.step(torch.tensor([7, 8]), two)
    assert all(torch.equal(new, old) for new, old in zip(two, before, strict=True))


@every_variant
def test_no_history_at_all_is_a_batch_of_none(options):
    predictor = build(options)
    _, state = predictor.start(2)
    predicted, state = predictor.step(torch.zeros(0, dtype=torch.int64), predictor.select(state, torch.zeros(0, dtype=int)))
    assert predicted.shape == (0, predictor.out_dim)


@every_variant
def test_the_state_makes_a_round_trip(options):
    first, second = build(options), build(options)
    for parameter in second.parameters():
        torch.nn.init.normal_(parameter)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(tokens(), TOKEN_LENS), second(tokens(), TOKEN_LENS))


def test_training_hides_a_share_of_the_labels_and_of_the_start():
    labels, lens = torch.full((300, U), 3), torch.full((300,), U)
    options = {"name": "stateless", "dim": 4, "context_size": 1, "dropout": 0.0, "token_dropout": 0.25}
    predictor = build(options)
    shown, hidden = predictor(labels[:1], lens[:1])[0, 1], predictor.predict(torch.tensor([[Vocabulary.unk_id]]))[0, 0]
    predicted = predictor.train()(labels, lens)
    is_hidden = (predicted - hidden).abs().amax(-1) < 1e-12
    assert is_hidden.double().mean(0).allclose(torch.full((U + 1,), 0.25).double(), atol=0.1)
    torch.testing.assert_close(predicted[:, 1:][~is_hidden[:, 1:]], shown.expand(int((~is_hidden[:, 1:]).sum()), -1))
