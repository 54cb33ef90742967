"""The real-time factor of every search that can read a trained model, on one thread.

    cd egs/fsdd/asr && python ../../../tools/bench/searches.py exp/connected/{ctc,transducer,attention}

Each experiment's test set goes through its network once; then every search that can read one of its decoders searches the
same encodings, one utterance at a time as a recogniser in use gets them, in several rounds. The figure is the median of
the rounds over the seconds of audio, of the search alone; the network's own row stands before them. The word error rate
says what the time buys.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):  # read when the libraries start
    os.environ[name] = "1"

import torch  # noqa: E402

from speechkit.metrics.error_rate import error_rate  # noqa: E402
from speechkit.tasks.evaluate import decoding_config, encoded  # noqa: E402
from speechkit.tasks.recognizer import Recognizer  # noqa: E402

# As `speechkit decode EXP search=...` takes them. A model is searched by those that can read it.
SEARCHES = (
    "ctc_greedy",
    "{name: ctc_prefix_beam, beam_size: 8}",
    "graph_viterbi",
    "{name: wfst, graph: graph}",
    "transducer_greedy",
    "{name: transducer_greedy, max_symbols_per_frame: 1}",
    "{name: transducer_beam, beam_size: 8}",
    "{name: transducer_beam, beam_size: 8, max_symbols_per_frame: 1}",
    "{name: transducer_alsd, beam_size: 8}",
    "attention_greedy",
    "{name: attention_beam, beam_size: 8}",
    "{name: joint, beam_size: 8, ctc_weight: 0.3}",
    "{name: ctc_attention_rescoring, beam_size: 8}",
    "asg_viterbi",
    "hmm_viterbi",
)


def main() -> None:
    """Measure every experiment of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("experiments", nargs="+", type=Path)
    parser.add_argument("--set", default="test", help="split, or manifest")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | search | real-time factor | WER % |\n| :-- | :-- | --: | --: |")
    for exp_dir in args.experiments:
        measure(exp_dir, args.set, args.rounds)


def measure(exp_dir: Path, name: str, rounds: int) -> None:
    """Print a row for the network of an experiment and one for each search."""
    recognizer = Recognizer.load(exp_dir)
    config = decoding_config(exp_dir, ["data.sampler.max_batch=1"])
    batches = [batch for batch, *_ in encoded([name], config, recognizer)]
    refs = [recognizer.normalizer(text) for batch in batches for text in batch.texts]
    unit = recognizer.model.featurizer.frame_shift if batches[0].is_features else 1 / recognizer.sampling_rate
    audio = unit * sum(int(batch.input_lens.sum()) for batch in batches)
    encodings, seconds = timed(lambda: [recognizer.encode(b.inputs, b.input_lens, b.is_features) for b in batches], rounds)
    print(f"| {exp_dir.name} | the network | {seconds / audio:.5f} | |", flush=True)
    for choice in SEARCHES:
        try:
            recognizer.search = recognizer.build_search(decoding_config(exp_dir, [f"search={choice}"]).search)
            recognizer.search_encoded(*encodings[0])
        except ValueError:  # it cannot read this model
            continue
        found, seconds = timed(lambda: [recognizer.search_encoded(*each) for each in encodings], rounds)
        hyps = [recognizer.text(hypotheses[0]) for nbest in found for hypotheses in nbest]
        rate = error_rate([(str(i), *pair) for i, pair in enumerate(zip(refs, hyps, strict=True))], "word").rate
        print(f"| {exp_dir.name} | `{choice}` | {seconds / audio:.5f} | {100 * rate:.2f} |", flush=True)


def timed(work: Callable[[], list], rounds: int) -> tuple[list, float]:
    """What some work returns, and the median of the seconds that it takes."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return result, statistics.median(seconds)


if __name__ == "__main__":
    main()
