"""Attention and joint CTC/attention beam search, ours against ESPnet's BatchBeamSearch: same weights, same encodings.

Run: python tools/bench/attention_search.py --peer-python /path/to/espnet-venv/bin/python [--threads 1]

A Transformer decoder of 6 layers, dim 256, feed-forward 2048 and 500 tokens, and a linear CTC decoder, both with random
weights that never end a sentence, so that both searches make the same steps. Each program is a process of its own, and
they take turns; what counts is the median of the ratios of neighbouring timings. ESPnet searches one utterance at a time;
ours also takes a batch. Where sentences are cut at the longest length allowed, ESPnet ranks them as they are, ours with the
probability that they end there; so its best one is looked for among all that are on our beam.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from worker import Worker

DIM, HEADS, FF_DIM, LAYERS, VOCAB = 256, 4, 2048, 6, 500
CASES = {"attention": 0.0, "joint": 0.3}


def main() -> int:
    """Parse the command line; run as parent or as one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that can import espnet2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--utterances", type=int, default=4)
    parser.add_argument("--frames", type=int, default=250, help="encoder frames of each utterance; 250 are 10 s at 40 ms")
    parser.add_argument("--tokens", type=int, default=40, help="length of the sentences")
    parser.add_argument("--beam", type=int, default=10)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--worker", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    return work(args) if args.worker else compare(args)


# --- the parent ----------------------------------------------------------------------------------------------------


def searcher(python: str, role: str, model: Path, args: argparse.Namespace) -> Worker:
    """A process that searches once per request."""
    options = {name: getattr(args, name) for name in ("threads", "utterances", "frames", "tokens", "beam")}
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return Worker([python, __file__, "--worker", role, "--model", str(model), *flags])


def compare(args: argparse.Namespace) -> int:
    """Search with both in turn and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.pt"
        ours = searcher(sys.executable, "ours", model, args)
        ours.ask("ready")
        peer = searcher(args.peer_python, "peer", model, args)
        try:
            peer.ask("ready")
        except ChildProcessError as error:
            print(f"peer: expected a Python that can import espnet2, got {args.peer_python}: {error}", file=sys.stderr)
            print("pass --peer-python /path/to/a/venv/with/espnet/bin/python; timing our search alone", file=sys.stderr)
            peer = None
        result = {case: run_case(case, ours, peer, args.rounds) for case in CASES}
    seconds = args.frames * 0.04 * args.utterances
    for case, row in result.items():
        print(f"{case}: beam {args.beam}, {args.utterances} utterances of {args.frames} frames, {args.tokens} tokens each")
        for name, value in row["seconds"].items():
            ratio = f"  ours is {row['speedup'][name]:.2f}x faster" if name in row["speedup"] else ""
            print(f"  {name:13} {value:7.3f} s  real-time factor {value / seconds:.4f}{ratio}")
        if row["found"] is not None:
            print(f"  ESPnet's sentence is on our beam in {row['found']} of {args.utterances} utterances")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def run_case(case: str, ours: Worker, peer: Worker | None, rounds: int) -> dict:
    """Medians over rounds; in each one all programs search the same utterances."""
    programs = {"ours": (ours, case), "ours, batched": (ours, f"{case} batched")}
    if peer is not None:
        programs["ESPnet"] = (peer, case)
    rows = [{name: worker.ask(request) for name, (worker, request) in programs.items()} for _ in range(rounds + 1)][1:]
    pairs = zip(rows[-1]["ESPnet"]["tokens"], rows[-1]["ours"]["tokens"], strict=True) if peer else ()
    return {
        "seconds": {name: statistics.median(row[name]["seconds"] for row in rows) for name in programs},
        "speedup": {
            name: statistics.median(row[name]["seconds"] / row["ours"]["seconds"] for row in rows)
            for name in programs
            if name == "ESPnet"
        },
        "found": sum(best[0] in all_ours for best, all_ours in pairs) if peer else None,
        "rounds": rounds,
    }


# --- the workers ---------------------------------------------------------------------------------------------------


def work(args: argparse.Namespace) -> int:
    """Answer requests from the parent, one JSON line each."""
    import torch

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print what they like
    searches = ours(args) if args.worker == "ours" else peer(args)
    for line in sys.stdin:
        request = line.strip()
        if request == "ready":
            answer = {}
        else:
            start = time.perf_counter()
            with torch.inference_mode():
                tokens = searches(request)
            answer = {"seconds": time.perf_counter() - start, "tokens": tokens}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def ours(args: argparse.Namespace) -> Callable[[str], list[list[list[int]]]]:
    """Our decoders with random weights, which are also written for the peer, and our searches."""
    import torch

    from speechkit.decode.attention_beam import AttentionBeamSearch
    from speechkit.decode.joint import JointSearch
    from speechkit.models.decoder.linear import Linear
    from speechkit.models.decoder.transformer import TransformerDecoder
    from speechkit.text.vocabulary import Vocabulary

    torch.manual_seed(0)
    vocabulary = Vocabulary(VOCAB)
    config = TransformerDecoder.Config(dim=DIM, num_layers=LAYERS, num_heads=HEADS, ff_dim=FF_DIM)
    attention = config.build(in_dim=DIM, vocabulary=vocabulary).eval()
    ctc = Linear.Config().build(in_dim=DIM, vocabulary=vocabulary).eval()
    with torch.no_grad():
        for out in (attention.out, ctc.out):
            out.weight.mul_(4.0)
            out.bias[vocabulary.eos_id] = -30.0
        attention.out.bias[vocabulary.blank_id] = -30.0  # which our search never says
        ctc.out.bias[vocabulary.blank_id] = 6.0
    encoder_out = torch.randn(args.utterances, args.frames, DIM)
    torch.save({"decoder": espnet_names(attention), "ctc": ctc.out.state_dict(), "encoder_out": encoder_out}, args.model)
    decoders = torch.nn.ModuleDict({"attention": attention, "ctc": ctc})
    common = {"beam_size": args.beam, "nbest": args.beam, "max_len_ratio": args.tokens / args.frames}
    searches = {
        "attention": AttentionBeamSearch.Config(**common).build(vocabulary=vocabulary),
        "joint": JointSearch.Config(**common, ctc_weight=CASES["joint"]).build(vocabulary=vocabulary),
    }

    def search(request: str) -> list[list[list[int]]]:
        case, _, batched = request.partition(" ")
        pieces = [encoder_out] if batched else encoder_out.split(1)
        lens = torch.full((args.utterances,), args.frames)
        found = [each for piece in pieces for each in searches[case].decode(decoders, piece, lens[: len(piece)])]
        return [[hypothesis.tokens for hypothesis in hypotheses] for hypotheses in found]

    return search


def espnet_names(decoder) -> dict:
    """The weights of our Transformer decoder under the names that ESPnet's has."""
    state = {"embed.0.weight": decoder.embedding.weight}
    modules = {"after_norm": decoder.norm, "output_layer": decoder.out}
    for i, layer in enumerate(decoder.layers):
        name = f"decoders.{i}"
        modules |= {f"{name}.norm1": layer.norm_self, f"{name}.norm2": layer.norm_cross, f"{name}.norm3": layer.norm_feed}
        modules |= {f"{name}.feed_forward.w_1": layer.feed.expand, f"{name}.feed_forward.w_2": layer.feed.contract}
        modules |= {f"{name}.self_attn.linear_out": layer.self_attention.out}
        cross = layer.cross_attention
        modules |= {f"{name}.src_attn.linear_out": cross.out, f"{name}.src_attn.linear_q": cross.query}
        for key in ("weight", "bias"):
            parts = getattr(layer.self_attention.qkv, key).chunk(3)
            state |= {f"{name}.self_attn.linear_{which}.{key}": part for which, part in zip("qkv", parts)}
            parts = getattr(cross.key_value, key).chunk(2)
            state |= {f"{name}.src_attn.linear_{which}.{key}": part for which, part in zip("kv", parts)}
    state |= {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    return {name: value.detach().clone() for name, value in state.items()}


def peer(args: argparse.Namespace) -> Callable[[str], list[list[list[int]]]]:
    """ESPnet's decoder with our weights, and its searches, set as its recipes set them."""
    import logging

    import torch
    from espnet.nets.batch_beam_search import BatchBeamSearch
    from espnet.nets.scorers.ctc import CTCPrefixScorer
    from espnet2.asr.ctc import CTC
    from espnet2.asr.decoder.transformer_decoder import TransformerDecoder

    logging.disable(logging.WARNING)
    saved = torch.load(args.model, weights_only=True)
    decoder = TransformerDecoder(VOCAB, DIM, attention_heads=HEADS, linear_units=FF_DIM, num_blocks=LAYERS).eval()
    decoder.load_state_dict(saved["decoder"])
    ctc = CTC(odim=VOCAB, encoder_output_size=DIM).eval()
    ctc.ctc_lo.load_state_dict(saved["ctc"])
    scorers = {"decoder": decoder, "ctc": CTCPrefixScorer(ctc=ctc, eos=VOCAB - 1)}
    searches = {}
    for case, weight in CASES.items():
        searches[case] = BatchBeamSearch(
            beam_size=args.beam,
            weights={"decoder": 1.0 - weight, "ctc": weight},
            scorers={name: each for name, each in scorers.items() if name == "decoder" or weight},
            sos=VOCAB - 1,
            eos=VOCAB - 1,
            vocab_size=VOCAB,
            token_list=[str(token) for token in range(VOCAB)],
            pre_beam_score_key="full",
        ).eval()

    def search(case: str) -> list[list[list[int]]]:
        found = [searches[case](x=each, maxlenratio=-args.tokens, minlenratio=0.0) for each in saved["encoder_out"]]
        return [[[int(token) for token in hypotheses[0].yseq if token != VOCAB - 1]] for hypotheses in found]

    return search


if __name__ == "__main__":
    sys.exit(main())
