"""One training step of the Conformer against ESPnet's Conformer of the same shape, in lock-step.

    python tools/bench/conformer_step.py --peer-python /path/to/espnet-venv/bin/python

Each model lives in a process of its own and both get the same random batch. The parent lets them step in turn, never at
the same time, so that a slow minute of the machine hits both; the figure to read is the median of the ratios of
neighbouring steps. Steps during which other processes took the processors are repeated. A step is zero_grad, forward, CTC,
backward, clip, AdamW. Its FLOPs are counted by hand (the same for both models) and set against a large matrix product on
the same machine.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

from paired import matmul_peak, pair_facts, run_pairs, timed
from worker import Worker

DIM, HEADS, FF_DIM, LAYERS, KERNEL, BINS, VOCAB, TOKENS, FRAMES = 256, 4, 2048, 12, 31, 80, 500, 40, 1000


def main() -> int:
    """Parse the command line; run as parent or as one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that can import espnet2")
    parser.add_argument("--steps", type=int, default=7, help="measured steps of each model and case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8, help="utterances of 10 s")
    parser.add_argument("--cases", nargs="+", default=["float32", "bfloat16", "float32-ragged", "bfloat16-ragged"])
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--worker", choices=["ours", "peer"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    return work(args) if args.worker else compare(args)


# --- the parent ----------------------------------------------------------------------------------------------------


def stepper(python: str, role: str, args: argparse.Namespace) -> Worker:
    """A process that makes one step per request."""
    return Worker([python, __file__, "--worker", role, "--threads", str(args.threads), "--batch", str(args.batch)])


def compare(args: argparse.Namespace) -> int:
    """Step both workers in turn for every case and print the table."""
    ours, peer = stepper(sys.executable, "ours", args), stepper(args.peer_python, "peer", args)
    parameters = {"ours": ours.ask("parameters")["parameters"]}
    try:
        parameters["peer"] = peer.ask("parameters")["parameters"]
    except ChildProcessError as error:
        print(f"peer: expected a Python that can import espnet2, got {args.peer_python}: {error}", file=sys.stderr)
        print("pass --peer-python /path/to/a/venv/with/espnet/bin/python; timing our model alone", file=sys.stderr)
        peer = None
    print("parameters: " + ", ".join(f"{role} {count / 1e6:.2f} M" for role, count in parameters.items()))
    result = {"parameters": parameters, "threads": args.threads, "batch": args.batch, "cases": {}}
    for case in args.cases:
        result["cases"][case] = row = run_case(case, ours, peer, args)
        print(describe(case, row), flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def run_case(case: str, ours: Worker, peer: Worker | None, args: argparse.Namespace) -> dict:
    """Medians over paired steps; ``bfloat16`` is set against the peer in both precisions."""
    against = {} if peer is None else {"peer": case}
    if peer is not None and case.startswith("bfloat16"):
        against["peer_float32"] = case.replace("bfloat16", "float32")
    row = run_pairs(case, ours, {name: (peer, other) for name, other in against.items()}, args.steps, args.threads)
    peak = ours.ask(f"peak {case}")["gflops"]
    flops = flops_per_step(args.batch)
    return row | {
        "tflop_per_step": flops / 1e12,
        "peak_gflops": peak,
        "share_of_peak": {name: flops / value / (peak * 1e9) for name, value in row["seconds"].items()},
    }


def flops_per_step(batch: int) -> int:
    """Multiplications and additions of one step: forward, and twice as many backward (but none for the input features)."""
    time_1, bins_1 = (FRAMES - 3) // 2 + 1, (BINS - 3) // 2 + 1
    time_2, bins_2 = (time_1 - 3) // 2 + 1, (bins_1 - 3) // 2 + 1
    conv_1 = time_1 * bins_1 * 9 * DIM
    conv_2 = time_2 * bins_2 * 9 * DIM**2
    feed = 2 * 2 * DIM * FF_DIM
    attention = 4 * DIM**2 + 2 * time_2 * DIM + (2 * time_2 - 1) * DIM
    convolution = 3 * DIM**2 + KERNEL * DIM
    layers = LAYERS * (time_2 * (feed + attention + convolution) + (2 * time_2 - 1) * DIM**2 / batch)
    forward = conv_1 + conv_2 + time_2 * bins_2 * DIM**2 + layers + time_2 * DIM * VOCAB
    return int(2 * batch * (3 * forward - conv_1))


def describe(case: str, row: dict) -> str:
    """One case as text."""
    lines = [
        f"{case}: {row['tflop_per_step']:.3f} TFLOP per step, matmul {row['peak_gflops']:.0f} GFLOP/s, {pair_facts(row)}"
    ]
    for name, seconds in row["seconds"].items():
        speedup = f"  ours is {row['speedup'][name]:.2f}x faster" if name in row["speedup"] else ""
        lines.append(
            f"  {name:12} {seconds:6.3f} s  cpu {row['cpu_seconds'][name]:6.2f} s"
            f"  {row['share_of_peak'][name]:4.0%} of peak{speedup}"
        )
    return "\n".join(lines)


# --- the workers ---------------------------------------------------------------------------------------------------


def work(args: argparse.Namespace) -> int:
    """Answer requests from the parent, one JSON line each."""
    import torch

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print what they like
    model, loss_of = ours() if args.worker == "ours" else peer()
    step = make_step(model, loss_of, args.worker)
    for line in sys.stdin:
        request, _, case = line.strip().rpartition(" ")
        if case == "parameters":
            answer = {"parameters": sum(p.numel() for p in model.parameters())}
        elif request == "peak":
            answer = {"gflops": matmul_peak(case.split("-")[0])}
        else:
            batch = make_batch(args.batch, case)
            answer = timed(functools.partial(step, batch, case))
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def ours() -> tuple:
    """Our Conformer and its CTC loss, defaults throughout."""
    import torch

    import speechkit.models.decoder
    import speechkit.models.encoder

    encoder = speechkit.models.encoder.conformer.Conformer.Config(
        dim=DIM, num_layers=LAYERS, num_heads=HEADS, ff_dim=FF_DIM, kernel_size=KERNEL
    ).build(in_dim=BINS)
    decoder = speechkit.models.decoder.linear.Linear.Config().build(in_dim=DIM, vocab_size=VOCAB)

    def loss_of(batch: dict) -> torch.Tensor:
        encoder_out, lens = encoder(batch["feats"], batch["feat_lens"])
        log_probs = decoder(encoder_out).transpose(0, 1)
        loss = torch.nn.functional.ctc_loss(
            log_probs, batch["tokens"], lens, batch["token_lens"], reduction="sum", zero_infinity=True
        )
        return loss / len(lens)

    return torch.nn.ModuleList([encoder, decoder]), loss_of


def peer() -> tuple:
    """ESPnet's Conformer and CTC of the same shape, set as its recipes set them."""
    import torch
    from espnet2.asr.ctc import CTC
    from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

    encoder = ConformerEncoder(
        BINS,
        output_size=DIM,
        attention_heads=HEADS,
        linear_units=FF_DIM,
        num_blocks=LAYERS,
        input_layer="conv2d",
        macaron_style=True,
        rel_pos_type="latest",
        pos_enc_layer_type="rel_pos",
        selfattention_layer_type="rel_selfattn",
        use_cnn_module=True,
        cnn_module_kernel=KERNEL,
    )
    ctc = CTC(odim=VOCAB, encoder_output_size=DIM, dropout_rate=0.1)

    def loss_of(batch: dict) -> torch.Tensor:
        encoder_out, lens, _ = encoder(batch["feats"], batch["feat_lens"])
        return ctc(encoder_out, lens, batch["tokens"], batch["token_lens"])

    return torch.nn.ModuleList([encoder, ctc]), loss_of


def make_batch(size: int, case: str) -> dict:
    """The same random batch in every process; ragged lengths spread over 60 ... 100 % of the longest."""
    import torch

    generator = torch.Generator().manual_seed(0)
    spread = torch.linspace(1.0, 0.6, size) if case.endswith("ragged") else torch.ones(size)
    return {
        "feats": torch.randn(size, FRAMES, BINS, generator=generator),
        "feat_lens": (spread * FRAMES).long(),
        "tokens": torch.randint(1, VOCAB, (size, TOKENS), generator=generator),
        "token_lens": torch.full((size,), TOKENS),
    }


def make_step(model, loss_of: Callable, role: str) -> Callable:
    """A training step; ours with the fused optimizer that our trainer uses, the peer's with the defaults that its has."""
    import torch

    options = {"fused": True} if role == "ours" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-2, **options)

    def step(batch: dict, case: str) -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=case.startswith("bfloat16")):
            loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    sys.exit(main())
