"""The pruned transducer, beyond what all objectives must do."""

from __future__ import annotations

import pytest
import torch

from speechkit.config import ConfigError, validate
from speechkit.data.batch import Targets
from speechkit.graphs.transducer import transducer_loss
from speechkit.graphs.transducer_pruning import simple_log_probs
from speechkit.models.decoder.transducer import Transducer
from speechkit.models.predictor.stateless import Stateless
from speechkit.objectives.pruned_transducer import PrunedTransducerObjective
from speechkit.objectives.transducer import TransducerObjective
from speechkit.text.vocabulary import Vocabulary

D, V, LENS = 5, 6, torch.tensor([19, 14])
TARGETS = Targets(torch.randint(1, V, (2, 7), generator=torch.Generator().manual_seed(0)), torch.tensor([7, 5]))
SMALL = Transducer.Config(predictor=Stateless.Config(dim=8), joiner_dim=3)
topologies = pytest.mark.parametrize("topology", ["regular", "modified", "monotonic"])


def build(**options):
    """The objective, a small decoder in double precision with sharp distributions, and encodings."""
    torch.manual_seed(0)
    config = PrunedTransducerObjective.Config(decoder=SMALL, **options)
    decoder = config.decoder.build(in_dim=D, vocabulary=Vocabulary(V)).double().eval()
    return config.build(vocabulary=Vocabulary(V)), decoder, 5 * torch.randn(2, 19, D, dtype=torch.float64)


def parts(decoder, encoder_out, topology="regular", **smoothing):
    """The loss of the simple joiner, and the full loss of the joiner."""
    predicted = decoder.predictor(TARGETS.tokens, TARGETS.token_lens)
    am, lm = decoder.simple_encoder_proj(encoder_out), decoder.simple_predictor_proj(predicted)
    log_probs = simple_log_probs(am, lm, TARGETS.tokens, TARGETS.token_lens, **smoothing)
    full = TransducerObjective.Config(decoder=SMALL, topology=topology).build(vocabulary=Vocabulary(V))
    simple = transducer_loss(*log_probs, LENS, TARGETS.token_lens, topology)
    return simple, full(decoder, encoder_out, LENS, TARGETS)


@topologies
def test_where_the_range_covers_all_positions_it_is_the_full_loss_and_else_more(topology):
    objective, decoder, encoder_out = build(topology=topology, prune_range=8, simple_scale=0.0)
    inputs = [each for name, each in decoder.named_parameters() if not name.startswith("simple")]
    losses, (_, full) = objective(decoder, encoder_out, LENS, TARGETS), parts(decoder, encoder_out, topology)
    torch.testing.assert_close(losses, full, rtol=1e-12, atol=0)
    torch.testing.assert_close(*(torch.autograd.grad(each.sum(), inputs) for each in (losses, full)))
    previous = full
    for prune_range in (6, 4, 3, 2):
        narrow = build(topology=topology, prune_range=prune_range, simple_scale=0.0)[0]
        losses = narrow(decoder, encoder_out, LENS, TARGETS)
        assert losses.isfinite().all() and (losses >= full).all()
        previous = losses
    assert (previous > full + 0.01).all()


def test_the_loss_is_the_scaled_sum_of_both():
    objective, decoder, encoder_out = build(prune_range=8, simple_scale=0.25, pruned_scale=0.75, am_only_scale=0.125)
    simple, full = parts(decoder, encoder_out, lm_only_scale=0.25, am_only_scale=0.125)
    torch.testing.assert_close(objective(decoder, encoder_out, LENS, TARGETS), 0.25 * simple + 0.75 * full)


@pytest.mark.parametrize("normalize", ["utterance", "token", "frame"])
def test_both_losses_are_left_for_the_log_normalised_as_their_sum(normalize):
    objective, decoder, encoder_out = build(simple_scale=0.25, pruned_scale=0.75, normalize=normalize)
    losses = objective(decoder, encoder_out, LENS, TARGETS)
    assert objective.parts.keys() == {"simple", "pruned"}
    assert not any(part.requires_grad for part in objective.parts.values())
    torch.testing.assert_close(losses.detach(), 0.25 * objective.parts["simple"] + 0.75 * objective.parts["pruned"])
    lens = {"utterance": 1, "token": TARGETS.token_lens, "frame": LENS}[normalize]
    torch.testing.assert_close(objective.parts["simple"], parts(decoder, encoder_out, lm_only_scale=0.25)[0].detach() / lens)
    objective(decoder, encoder_out, torch.tensor([19, 0]), TARGETS)
    assert [part[1] for part in objective.parts.values()] == [0, 0]


def test_the_scales_warm_up_over_the_steps_that_it_hears_of_and_are_final_in_evaluation():
    objective, decoder, encoder_out = build(simple_scale=0.5, pruned_scale=2.0, warmup_steps=100)
    assert objective.scales(True) == (0.5, 2.0)
    for step, expected in ((0, (1.0, 0.2)), (50, (0.75, 1.1)), (100, (0.5, 2.0)), (1000, (0.5, 2.0))):
        objective.at_step(step)
        assert objective.scales(True) == pytest.approx(expected)
        assert objective.scales(False) == (0.5, 2.0)
    decoder.train()
    objective.at_step(0)
    early = objective(decoder, encoder_out, LENS, TARGETS)
    objective.at_step(100)
    assert (early < objective(decoder, encoder_out, LENS, TARGETS)).all()
    objective = build(warmup_steps=0)[0]
    objective.at_step(0)
    assert objective.scales(True) == (0.5, 1.0)


@topologies
def test_an_utterance_without_a_path_adds_nothing_and_leaves_the_other_alone(topology):
    objective, decoder, encoder_out = build(topology=topology)
    encoder_out.requires_grad_()
    losses = objective(decoder, encoder_out, torch.tensor([19, 0]), TARGETS)
    (grad,) = torch.autograd.grad(losses.sum(), encoder_out)
    assert losses[1] == 0 and grad[1].eq(0).all() and grad.isfinite().all()
    torch.testing.assert_close(losses[:1], objective(decoder, encoder_out[:1], LENS[:1], Targets(*(
        each[:1] for each in (TARGETS.tokens, TARGETS.token_lens)
    ))))  # fmt: skip


def test_its_decoder_gets_a_simple_joiner_unless_the_config_forbids_it():
    config = validate(PrunedTransducerObjective.Config, {"name": "pruned_transducer", "decoder": "transducer"})
    assert config.decoder.simple_joiner
    again = validate(PrunedTransducerObjective.Config, config.model_dump())
    assert again == config
    with pytest.raises(ConfigError, match="simple_joiner: expected true"):
        decoder = {"name": "transducer", "simple_joiner": False}
        validate(PrunedTransducerObjective.Config, {"name": "pruned_transducer", "decoder": decoder})
    with pytest.raises(ConfigError, match="expected a transducer"):
        validate(PrunedTransducerObjective.Config, {"name": "pruned_transducer", "decoder": "linear"})


def test_scales_that_leave_nothing_and_ranges_that_no_path_can_follow_are_errors():
    with pytest.raises(ConfigError, match="expected at most 1, got 0.75 \\+ 0.5"):
        validate(PrunedTransducerObjective.Config, {"name": "pruned_transducer", "lm_only_scale": 0.75, "am_only_scale": 0.5})
    with pytest.raises(ConfigError, match="prune_range"):
        validate(PrunedTransducerObjective.Config, {"name": "pruned_transducer", "prune_range": 1})
