"""Optional packages: what is said where they are missing or broken, and the same numbers as ours where they are there."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from speechkit.graphs.ctc import ctc_loss
from speechkit.graphs.transducer import transducer_loss
from speechkit.graphs.transducer_pruning import simple_log_probs
from speechkit.objectives import backends


def test_a_missing_or_broken_package_is_reported_with_its_reason_and_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "k2", None)  # as if it were not installed
    broken = types.ModuleType("fast_rnnt")
    broken.__version__ = "1.3"
    monkeypatch.setitem(sys.modules, "fast_rnnt", broken)
    found = backends.importable()
    assert list(found) == ["k2", "torchaudio", "warp_rnnt", "fast_rnnt"] and found["fast_rnnt"] == "1.3"
    assert "k2: cannot be imported" in found["k2"] and "run tools/install_k2.sh" in found["k2"]
    with pytest.raises(ValueError, match="k2: cannot be imported .*, or do without it"):
        backends.k2_ctc_loss(torch.zeros(1, 2, 3), torch.ones(1, 1).long(), torch.tensor([2]), torch.tensor([1]))


def test_an_import_that_fails_in_any_way_is_one_line(monkeypatch):
    def broken(name):
        raise RuntimeError("libtorch_cuda.so:\n undefined symbol")

    monkeypatch.setattr(backends.importlib, "import_module", broken)
    assert backends.importable()["torchaudio"].startswith(
        "torchaudio: cannot be imported (libtorch_cuda.so: undefined symbol); run `pip install"
    )


def test_a_topology_that_a_package_lacks_is_named():
    with pytest.raises(ValueError, match="torchaudio: expected topology regular, .* got modified; take k2 or fast_rnnt"):
        backends.transducer_loss("torchaudio", *lattice(), topology="modified")


def lattice():
    generator = torch.Generator().manual_seed(2)
    log_probs = torch.randn(3, 11, 5, 6, generator=generator, dtype=torch.float32).log_softmax(-1)
    blank, label = log_probs[..., 0].clone().requires_grad_(), log_probs[:, :, :-1, 1].clone().requires_grad_()
    return blank, label, torch.tensor([11, 4, 7]), torch.tensor([4, 4, 2])


@pytest.mark.optional
@pytest.mark.parametrize("topology", ["regular", "modified"])
@pytest.mark.parametrize("backend", backends.TRANSDUCER_BACKENDS)
def test_transducer_losses_and_gradients_equal_ours(backend, topology):
    try:
        backends.load(backend)
    except ValueError as error:
        pytest.skip(str(error))
    if topology == "modified" and backend not in ("k2", "fast_rnnt"):
        pytest.skip("it has the regular topology only")
    device = "cuda" if backend == "warp_rnnt" else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("it needs a GPU")
    results = []
    for loss in (transducer_loss, lambda *args: backends.transducer_loss(backend, *args)):
        blank, label, *lens = (each.detach().to(device).requires_grad_(each.is_floating_point()) for each in lattice())
        nats = loss(blank, label, *lens, topology)
        nats.sum().backward()
        results.append([each.cpu() for each in (nats.detach(), blank.grad, label.grad)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


@pytest.mark.optional
@pytest.mark.parametrize("backend", ["k2", "fast_rnnt"])
def test_the_simple_joiner_with_smoothing_and_the_pruned_lattice_equal_theirs(backend):
    package = pytest.importorskip(backend, exc_type=Exception)
    generator = torch.Generator().manual_seed(0)
    am, lm, logits = (torch.randn(1, *shape, 11, generator=generator) for shape in ((23,), (8,), (23, 8)))
    tokens, lens = torch.randint(1, 11, (1, 7), generator=generator), (torch.tensor([23]), torch.tensor([7]))
    facts = {"symbols": tokens, "termination_symbol": 0, "boundary": torch.tensor([[0, 0, 7, 23]])}
    simple, occupied = package.rnnt_loss_smoothed(
        lm=lm.requires_grad_(), am=am.requires_grad_(), lm_only_scale=0.25, am_only_scale=0.1, reduction="sum",
        return_grad=True, **facts,
    )  # fmt: skip
    ours = transducer_loss(*simple_log_probs(am, lm, tokens, lens[1], 0, 0.25, 0.1), *lens)
    torch.testing.assert_close(ours.sum(), simple, rtol=1e-5, atol=0)
    ranges = package.get_rnnt_prune_ranges(*occupied, boundary=facts["boundary"], s_range=4)
    in_windows = logits.gather(2, ranges[..., None].expand(-1, -1, -1, 11))
    pruned = package.rnnt_loss_pruned(logits=in_windows, ranges=ranges, reduction="none", **facts)
    cells = torch.zeros(1, 23, 8, dtype=torch.bool).scatter_(2, ranges, True)
    log_probs = logits.log_softmax(-1).masked_fill(~cells[..., None], -torch.inf)
    label = log_probs[:, :, :-1].gather(3, tokens[:, None, :, None].expand(-1, 23, -1, 1)).squeeze(3)
    for loss in (transducer_loss, lambda *args: backends.transducer_loss(backend, *args)):
        torch.testing.assert_close(loss(log_probs[..., 0], label, *lens), pruned, rtol=1e-5, atol=0)


@pytest.mark.optional
@pytest.mark.parametrize("blank_id", [0, 3])
def test_the_ctc_loss_of_k2_equals_ours(blank_id):
    pytest.importorskip("k2", exc_type=Exception)
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(0, 5, (4, 4), generator=generator)
    tokens += tokens >= blank_id
    facts = tokens, torch.tensor([5, 11, 0, 8]), torch.tensor([2, 4, 0, 4]), blank_id
    results = []
    for loss in (ctc_loss, backends.k2_ctc_loss):
        logits = torch.randn(4, 11, 6, generator=generator.manual_seed(3)).requires_grad_()
        nats = loss(logits.log_softmax(-1), *facts)
        nats.sum().backward()
        results.append((nats.detach(), logits.grad))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)
