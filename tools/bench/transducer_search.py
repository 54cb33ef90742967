"""Transducer searches against ESPnet's on the same decoder and the same encodings, in turn.

    python tools/bench/transducer_search.py --peer-python /path/to/espnet-venv/bin/python

Each side lives in a process of its own with one thread. Both make the same decoder by hand (:func:`weights`): it emits a label
where the encoding looks like the label's code and the label is not the last one already, else a blank; the encodings
hold noise, second-best labels and labels that last for several frames, so that beams have something to choose from. The
parent lets the two decode in turn, one utterance after the other as ESPnet does; the figure to read is the median of the
ratios of neighbouring timings. ``errors`` counts the wrong tokens, so that no speed is bought with them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

VOCAB, DIM, FRAMES, TOKENS, UTTERANCES = 500, 256, 250, 40, 4
FRAME_SHIFT = 0.04  # seconds per encoder frame, for the real-time factor

# Name of a row -> our search and its options, and ESPnet's. A regular beam search has no twin in the other toolkit that
# allows one symbol per frame; ESPnet's mAES, the one its recipes use, is the nearest.
ROWS = {
    "greedy": (("transducer_greedy", {"max_symbols_per_frame": 1}), ("greedy", {})),
    "modified beam / mAES": (("transducer_beam", {"max_symbols_per_frame": 1}), ("maes", {"nstep": 2})),
    "modified beam / TSD": (("transducer_beam", {"max_symbols_per_frame": 1}), ("tsd", {"max_sym_exp": 3})),
    "time-synchronous beam / TSD": (("transducer_beam", {"max_symbols_per_frame": 3}), ("tsd", {"max_sym_exp": 3})),
    "ALSD": (("transducer_alsd", {"max_tokens_per_frame": 0.4}), ("alsd", {"u_max": 100})),
}


def main() -> int:
    """Parse the command line; run as parent or as one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that can import espnet2")
    parser.add_argument("--rounds", type=int, default=7, help="measured pairs of each row")
    parser.add_argument("--beam-size", type=int, default=10)
    parser.add_argument("--predictors", nargs="+", default=["lstm", "stateless"], choices=["lstm", "stateless"])
    parser.add_argument("--joiner-dims", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--worker", choices=["ours", "peer"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    return work(args) if args.worker else compare(args)


# --- the parent ----------------------------------------------------------------------------------------------------


class Worker:
    """A process that decodes the utterances once per request."""

    def __init__(self, python: str, role: str, beam_size: int) -> None:
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
        self.process = subprocess.Popen(
            [python, __file__, "--worker", role, "--beam-size", str(beam_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads, "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    def ask(self, *request: object) -> dict:
        """Send a request, wait for the answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the worker died at {request}; see above, and pass --peer-python a Python with espnet")
        return json.loads(answer)


def compare(args: argparse.Namespace) -> int:
    """Let both decode in turn for every row and print the table."""
    ours = Worker(sys.executable, "ours", args.beam_size)
    peer = Worker(args.peer_python, "peer", args.beam_size)
    audio = UTTERANCES * FRAMES * FRAME_SHIFT
    print(f"{UTTERANCES} utterances of {FRAMES} frames, beam {args.beam_size}, one thread; seconds for all of them")
    print("predictor joiner row                           ours     RTF ESPnet ratio  errors    ours, one batch")
    result = []
    for predictor in args.predictors:
        for joiner_dim in args.joiner_dims:
            for row in args.rows:
                pairs = []
                for count in range(args.rounds + 1):
                    pair = [worker.ask(predictor, joiner_dim, row) for worker in (ours, peer)]
                    pairs += [pair] * (count > 0)  # the first one warms up
                one, other = (statistics.median(pair[i]["seconds"] for pair in pairs) for i in (0, 1))
                ratio = statistics.median(pair[1]["seconds"] / pair[0]["seconds"] for pair in pairs)
                batch = statistics.median(ours.ask(predictor, joiner_dim, row, "batch")["seconds"] for _ in range(3))
                errors = [each["errors"] for each in pairs[-1]]
                print(
                    f"{predictor:9} {joiner_dim:6} {row:28} {one:6.3f} {one / audio:7.5f} {other:6.3f} {ratio:5.1f}  "
                    f"{errors[0]} / {errors[1]} of {UTTERANCES * TOKENS}  {batch:6.3f}",
                    flush=True,
                )
                result.append(
                    {"predictor": predictor, "joiner_dim": joiner_dim, "row": row, "ours": one, "peer": other}
                    | {"ratio": ratio, "batch": batch, "errors": errors}
                )
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


# --- the decoder and what it hears -----------------------------------------------------------------------------------


def weights(predictor: str, joiner_dim: int) -> dict[str, np.ndarray]:
    """A transducer by hand: predictions are the code of the last label, and the joiner compares it with the encoding."""
    random = np.random.default_rng(0)
    signs = random.choice([-1.0, 1.0], (VOCAB, DIM))
    signs[0] = 0.0
    spread = random.standard_normal((joiner_dim, DIM)) / np.sqrt(DIM)
    made = {"codes": 0.6 * signs, "encoder_proj.weight": 1.5 * spread, "encoder_proj.bias": np.zeros(joiner_dim)}
    made["predictor_proj.weight"], made["predictor_proj.bias"] = -1.5 * spread, np.zeros(joiner_dim)
    made["out.weight"], made["out.bias"] = 45.0 * made["codes"] @ spread.T / joiner_dim, np.zeros(VOCAB)
    made["out.bias"][0] = 8.0
    if predictor == "lstm":  # gates that forget all, let all in and show all: the output is tanh(tanh(embedding))
        made["embedding"] = np.arctanh(np.arctanh(made["codes"]))
        gates = np.zeros((4, DIM, DIM))
        gates[2] = np.eye(DIM)
        made["weight_ih"], made["weight_hh"] = gates.reshape(4 * DIM, DIM), np.zeros((4 * DIM, DIM))
        made["bias_ih"], made["bias_hh"] = np.repeat([30.0, -30.0, 0.0, 30.0], DIM), np.zeros(4 * DIM)
    else:  # embeddings that are not negative, because ours has a relu behind them
        made["embedding"] = made["codes"] + 0.6
        made["predictor_proj.bias"] = -0.6 * made["predictor_proj.weight"].sum(1)
    return made


def utterances(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, FRAMES, DIM) encodings and (N, TOKENS) labels: each label for one to three frames, at random places."""
    random = np.random.default_rng(1)
    encodings = 0.35 * random.standard_normal((UTTERANCES, FRAMES, DIM))
    labels = np.empty((UTTERANCES, TOKENS), dtype=np.int64)
    for row in range(UTTERANCES):
        labels[row] = random.permutation(np.arange(1, VOCAB - 1))[:TOKENS]
        starts = np.sort(random.permutation(np.arange(0, FRAMES - 4, 4))[:TOKENS])
        for label, rival, start, length in zip(
            labels[row], random.integers(1, VOCAB, TOKENS), starts, random.integers(1, 4, TOKENS)
        ):
            encodings[row, start : start + length] += codes[label] + 0.3 * codes[rival]
    return encodings, labels


# --- the workers ---------------------------------------------------------------------------------------------------


def work(args: argparse.Namespace) -> int:
    """Answer requests from the parent, one JSON line each."""
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print what they like
    make = ours if args.worker == "ours" else peer
    built = {}
    for line in sys.stdin:
        predictor, joiner_dim, row, *batch = json.loads(line)
        made = {name: torch.from_numpy(each).float() for name, each in weights(predictor, joiner_dim).items()}
        encodings, labels = utterances(made["codes"].numpy())
        key = predictor, joiner_dim, row
        if key not in built:
            built[key] = make(predictor, joiner_dim, row, made, args.beam_size)
        encodings = torch.from_numpy(encodings).float()
        start = time.perf_counter()
        if batch:
            found = built[key](encodings)
        else:
            found = [tokens for each in encodings for tokens in built[key](each.unsqueeze(0))]
        seconds = time.perf_counter() - start
        errors = sum(distance(tokens, wanted.tolist()) for tokens, wanted in zip(found, labels, strict=True))
        print(json.dumps({"seconds": seconds, "errors": errors}), file=answers, flush=True)
    return 0


def distance(found: list[int], wanted: list[int]) -> int:
    """Edits between two sequences (Levenshtein)."""
    row = list(range(len(wanted) + 1))
    for i, token in enumerate(found, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(wanted, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (token != other))
    return row[-1]


def ours(predictor: str, joiner_dim: int, row: str, made: dict, beam_size: int):
    """Our search as a function (B, S, D) -> tokens."""
    import torch

    import speechkit.decode  # noqa: F401 - registers the searches
    from speechkit.decode.base import Search
    from speechkit.models.decoder.transducer import Transducer
    from speechkit.models.predictor.base import Predictor
    from speechkit.text.vocabulary import Vocabulary

    vocabulary = Vocabulary(VOCAB)
    options = {"context_size": 1, "group_size": 1} if predictor == "stateless" else {}
    config = Predictor.registry[predictor].Config(dim=DIM, **options)
    decoder = Transducer.Config(joiner_dim=joiner_dim, predictor=config).build(in_dim=DIM, vocabulary=vocabulary).eval()
    state = {f"joiner.{name}": each for name, each in made.items() if "proj" in name or "out" in name}
    state["predictor.embedding.weight"] = made["embedding"]
    if predictor == "stateless":
        state["predictor.weight"] = torch.ones(DIM, 1, 1)
    else:
        state |= {f"predictor.lstm.{name}_l0": made[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    decoder.load_state_dict(state)
    name, options = ROWS[row][0]
    options = options if name == "transducer_greedy" else {**options, "beam_size": beam_size}
    search = Search.registry[name].Config(**options).build(vocabulary=vocabulary)

    def decode(encodings: torch.Tensor) -> list[list[int]]:
        lens = torch.full((len(encodings),), encodings.shape[1])
        return [hypotheses[0].tokens for hypotheses in search.decode({"transducer": decoder}, encodings, lens)]

    return decode


def peer(predictor: str, joiner_dim: int, row: str, made: dict, beam_size: int):
    """ESPnet's search as a function (1, S, D) -> tokens.

    With the LSTM its ``asr`` task's searches; with the stateless predictor, which that task has not, those of its
    ``asr_transducer`` task, where a beam of 1 stands for the greedy search.
    """
    import torch
    from espnet2.asr_transducer.joint_network import JointNetwork

    joint = JointNetwork(VOCAB, DIM, DIM, joiner_dim).eval()
    theirs = {"lin_enc": "encoder_proj", "lin_dec": "predictor_proj", "lin_out": "out"}
    joint.load_state_dict({f"{a}.{kind}": made[f"{b}.{kind}"] for a, b in theirs.items() for kind in ("weight", "bias")})
    name, options = ROWS[row][1]
    if predictor == "lstm":
        from espnet2.asr.decoder.transducer_decoder import TransducerDecoder
        from espnet2.asr.transducer.beam_search_transducer import BeamSearchTransducer

        decoder = TransducerDecoder(VOCAB, hidden_size=DIM).eval()
        layer = decoder.decoder[0]
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(layer, f"{part}_l0").data.copy_(made[part])
        options = {**options, "score_norm": False}
    else:
        from espnet2.asr_transducer.beam_search_transducer import BeamSearchTransducer
        from espnet2.asr_transducer.decoder.stateless_decoder import StatelessDecoder

        decoder = StatelessDecoder(VOCAB, embed_size=DIM).eval()
    decoder.embed.weight.data.copy_(made["embedding"])
    if name == "greedy":
        name, beam_size = "default", 1
    search = BeamSearchTransducer(decoder, joint, beam_size, search_type=name, **options)

    def decode(encodings: torch.Tensor) -> list[list[int]]:
        return [[token for token in search(encodings[0])[0].yseq if token != 0]]

    return decode


if __name__ == "__main__":
    sys.exit(main())
