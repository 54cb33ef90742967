"""Log-mel features: ours beside Lhotse, kaldi-native-fbank and kaldifeat, on the CPU, utterance by utterance.

Run: python tools/bench/features.py [--utterances 50] [--seconds 10] [--rounds 15] [--threads N]

Every round times each library once, in turn, so that what else the machine does hits all alike; the table gives the
median over the rounds of each one's time, and of its time divided by ours in the same round.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also runs from a checkout that is not installed

from speechkit.features.fbank import Fbank

SAMPLING_RATE = 16000
Extractor = Callable[[Tensor], object]


def ours() -> Extractor:
    featurizer = Fbank.Config().build().eval()
    return lambda wav: featurizer(wav.unsqueeze(0), torch.tensor([len(wav)]))


def lhotse() -> Extractor:
    from lhotse.features.kaldi.extractors import Fbank as LhotseFbank

    extractor = LhotseFbank()
    return lambda wav: extractor.extract(wav, SAMPLING_RATE)


def kaldi_native_fbank() -> Extractor:
    import kaldi_native_fbank as knf
    import numpy as np

    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges = 0.0, False
    options.mel_opts.num_bins, options.mel_opts.high_freq = 80, -400

    def extract(wav: Tensor) -> object:
        computer = knf.OnlineFbank(options)
        computer.accept_waveform(SAMPLING_RATE, wav.numpy())
        computer.input_finished()
        return np.stack([computer.get_frame(t) for t in range(computer.num_frames_ready)])

    return extract


def kaldifeat() -> Extractor:
    import kaldifeat as kf

    options = kf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges = 0.0, False
    options.mel_opts.num_bins, options.mel_opts.high_freq = 80, -400
    return kf.Fbank(options)


def machine() -> str:
    """Processor, cores and how busy they are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}"


def seconds(extract: Extractor, wavs: Tensor) -> float:
    start = time.perf_counter()
    for wav in wavs:
        extract(wav)
    return time.perf_counter() - start


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    before = machine()  # the load average must not count this run
    peers = [peer for peer in (lhotse, kaldi_native_fbank, kaldifeat) if find_spec(peer.__name__)]
    extractors = {"speechkit": ours(), **{peer.__name__: peer() for peer in peers}}
    generator = torch.Generator().manual_seed(0)
    wavs = torch.randn(args.utterances, int(args.seconds * SAMPLING_RATE), generator=generator) * 0.1
    for extract in extractors.values():
        seconds(extract, wavs[:5])  # warm up
    times = {name: [] for name in extractors}
    for _ in range(args.rounds):
        for name, extract in extractors.items():
            times[name].append(seconds(extract, wavs))

    print(before)
    print(f"python {platform.python_version()}, torch {torch.__version__}, {args.threads} threads")
    print(f"{args.utterances} utterances of {args.seconds:g} s one by one, 80 mel bins, {args.rounds} rounds\n")
    print(f"{'':20}{'median s':>10}{'min s':>10}{'/ speechkit':>13}")
    for name, values in times.items():
        ratio = statistics.median(value / own for value, own in zip(values, times["speechkit"], strict=True))
        print(f"{name:20}{statistics.median(values):10.4f}{min(values):10.4f}{ratio:13.2f}")


if __name__ == "__main__":
    main()
