"""The transducer's losses of all libraries for ``transducer.py``, each ``<library>_<case>`` a function of its problem."""

from __future__ import annotations

SMOOTHING = 0.25  # lm_only_scale of the simple joiner


def lens_of(problem: dict) -> tuple:
    """Frames and tokens per utterance."""
    return problem["frame_lens"], problem["token_lens"]


def boundary_of(problem: dict):
    """Lengths as k2 and fast_rnnt want them."""
    import torch

    zero = torch.zeros_like(problem["frame_lens"])
    return torch.stack([zero, zero, problem["token_lens"], problem["frame_lens"]], 1)


def logits_of(problem: dict):
    """All logits at once, as peers want them."""
    import torch

    hidden = (problem["encoded"][:, :, None] + problem["predicted"][:, None]).tanh()
    return torch.nn.functional.linear(hidden, problem["weight"], problem["bias"])


def factors_of(problem: dict) -> tuple:
    """The joiner's arguments."""
    return tuple(problem[name] for name in ("encoded", "predicted", "weight", "bias", "tokens", "frame_lens", "token_lens"))


def ours_full(problem: dict):
    from speechkit.graphs.transducer_joint import joint_loss

    return joint_loss(*factors_of(problem))


def ours_pruned(problem: dict):
    from speechkit.graphs.transducer import transducer_loss_and_occupancies
    from speechkit.graphs.transducer_joint import joint_loss
    from speechkit.graphs.transducer_pruning import choose_cells, simple_log_probs

    log_probs = simple_log_probs(
        problem["am"], problem["lm"], problem["tokens"], problem["token_lens"], lm_only_scale=SMOOTHING
    )
    simple, occupancies = transducer_loss_and_occupancies(*log_probs, *lens_of(problem))
    chosen = choose_cells(occupancies, *lens_of(problem), problem["prune_range"])
    return simple + joint_loss(*factors_of(problem), chosen=chosen)


def ours_lattice(problem: dict):
    from speechkit.graphs.transducer import forward_backward

    result = forward_backward(problem["blank"], problem["label"], *lens_of(problem), kernel=problem["kernel"])
    return -result.log_likelihood


def torch_full(problem: dict):
    from speechkit.graphs.transducer import transducer_loss

    log_probs = logits_of(problem).log_softmax(-1)
    index = problem["tokens"][:, None, :, None].expand(-1, log_probs.shape[1], -1, 1)
    label = log_probs[:, :, :-1].gather(3, index)[..., 0]
    return transducer_loss(log_probs[..., 0], label, *lens_of(problem), kernel="torch")


def k2_full(problem: dict, library: str = "k2"):
    module = __import__(library)
    return module.rnnt_loss(logits_of(problem), problem["tokens"], 0, boundary_of(problem), reduction="none")


def k2_pruned(problem: dict, library: str = "k2"):
    import torch

    module, boundary = __import__(library), boundary_of(problem)
    simple, grads = module.rnnt_loss_smoothed(
        problem["lm"], problem["am"], problem["tokens"], 0, SMOOTHING, 0.0, boundary, reduction="none", return_grad=True
    )
    ranges = module.get_rnnt_prune_ranges(*grads, boundary, problem["prune_range"])
    encoded, predicted = module.do_rnnt_pruning(problem["encoded"], problem["predicted"], ranges)
    logits = torch.nn.functional.linear((encoded + predicted).tanh(), problem["weight"], problem["bias"])
    return simple + module.rnnt_loss_pruned(logits, problem["tokens"], ranges, 0, boundary, reduction="none")


def k2_lattice(problem: dict, library: str = "k2"):
    import torch

    px, py = problem["label"].transpose(1, 2), problem["blank"].transpose(1, 2).contiguous()
    px = torch.nn.functional.pad(px, (0, 1), value=-torch.inf).contiguous()
    scores, _ = __import__(library).mutual_information_recursion(px, py, boundary_of(problem), return_grad=True)
    return -scores


def fast_rnnt_full(problem: dict):
    return k2_full(problem, "fast_rnnt")


def fast_rnnt_pruned(problem: dict):
    return k2_pruned(problem, "fast_rnnt")


def fast_rnnt_lattice(problem: dict):
    return k2_lattice(problem, "fast_rnnt")


def optimized_transducer_full(problem: dict):
    import optimized_transducer
    import torch

    hidden = [
        (a[:s, None] + b[None, : u + 1]).tanh().flatten(0, 1)
        for a, b, s, u in zip(problem["encoded"], problem["predicted"], *(lens.tolist() for lens in lens_of(problem)))
    ]
    logits = torch.nn.functional.linear(torch.cat(hidden), problem["weight"], problem["bias"])
    lens = (each.int() for each in lens_of(problem))
    return optimized_transducer.transducer_loss(
        logits, problem["tokens"].int(), *lens, blank=0, from_log_softmax=False, reduction="sum"
    )


def torchaudio_full(problem: dict):
    from torchaudio.functional import rnnt_loss

    lens = (each.int() for each in lens_of(problem))
    return rnnt_loss(logits_of(problem), problem["tokens"].int(), *lens, blank=0, reduction="none")


def warp_rnnt_full(problem: dict):
    from warp_rnnt import rnnt_loss

    lens = (each.int() for each in lens_of(problem))
    return rnnt_loss(logits_of(problem).log_softmax(-1), problem["tokens"].int(), *lens, blank=0, reduction="none")
