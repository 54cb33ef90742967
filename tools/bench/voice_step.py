"""One training step of voices and vocoders against ESPnet's of the same size, in turn.

    python tools/bench/voice_step.py --peer-python /path/to/espnet-venv/bin/python [--models fastspeech2 tacotron2 vits hifigan]

Both get random batches of the same shape, in processes of their own that never step at the same time; the figure to read is
the median of the ratios of neighbouring steps. A step is forward, all losses, backward, clip, AdamW; of VITS and HiFi-GAN it
is the discriminator's turn and then the generator's, which share one forward pass of the generator. Ours goes through the
trainer's own step; the peer does what its trainer does. Lengths are those of fastspeech2: 8 x 80 tokens and 480 frames;
tacotron2: 8 x 80 tokens and 400 frames; vits: 4 x 30 tokens and 172 frames (2 s); hifigan: 4 x 32 frames (8192 samples).
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from paired import pair_facts, run_pairs, timed
from worker import Worker

MODELS = ("fastspeech2", "tacotron2", "vits", "hifigan")
TOKENS, BINS, HOP, RATE, MAX_NORM = 80, 80, 256, 22050, 1.0
SIZES = {"fastspeech2": (8, 80, 480), "tacotron2": (8, 80, 400), "vits": (4, 30, 172), "hifigan": (4, 0, 32)}


def main() -> int:
    """Parse the command line; run as parent or as one of its workers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that can import espnet2")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--precisions", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each model and precision")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--worker", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--model", choices=MODELS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    return work(args) if args.worker else compare(args)


# --- the parent ----------------------------------------------------------------------------------------------------


def compare(args: argparse.Namespace) -> int:
    """Step both workers in turn for every model and precision, and print the table."""
    result: dict[str, Any] = {"threads": args.threads}
    for model in args.models:
        ours, peer = (
            stepper(python, role, model, args) for python, role in ((sys.executable, "ours"), (args.peer_python, "peer"))
        )
        found = result[model] = {"parameters": {"ours": ours.ask("parameters")}}
        try:
            found["parameters"]["peer"] = peer.ask("parameters")
        except ChildProcessError as error:
            print(f"peer: expected a Python that can import espnet2, got {args.peer_python}: {error}", file=sys.stderr)
            peer = None
        print(f"{model}: parameters in millions: {found['parameters']}")
        for precision in args.precisions:
            peers = {} if peer is None else {"peer": (peer, precision)}
            if peer is not None and precision == "bfloat16":
                peers["peer_float32"] = (peer, "float32")
            row = found[precision] = run_pairs(precision, ours, peers, args.steps, args.threads)
            row["peak_mb"] = {"ours": ours.ask("peak")["mb"]} | ({} if peer is None else {"peer": peer.ask("peak")["mb"]})
            print(describe(model, precision, row), flush=True)
        for worker in filter(None, (ours, peer)):
            worker.process.stdin.close()
            worker.process.wait()
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def stepper(python: str, role: str, model: str, args: argparse.Namespace) -> Worker:
    """A process that makes one step per request."""
    return Worker([python, __file__, "--worker", role, "--model", model, "--threads", str(args.threads)])


def describe(model: str, precision: str, row: dict) -> str:
    """One case as text."""
    lines = [f"{model} {precision}: {pair_facts(row)}, peak memory in MB {row['peak_mb']}"]
    for name, seconds in row["seconds"].items():
        speedup = f"  ours is {row['speedup'][name]:.2f}x faster" if name in row["speedup"] else ""
        lines.append(f"  {name:12} {seconds:6.3f} s  cpu {row['cpu_seconds'][name]:6.2f} s{speedup}")
    return "\n".join(lines)


# --- the workers ---------------------------------------------------------------------------------------------------


def work(args: argparse.Namespace) -> int:
    """Answer requests from the parent, one JSON line each."""
    import resource

    import torch

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print what they like
    networks, step = (our_step if args.worker == "ours" else peer_step)(args.model)
    for line in sys.stdin:
        request = line.strip()
        if request == "parameters":
            answer = {name: round(sum(p.numel() for p in net.parameters()) / 1e6, 2) for name, net in networks.items()}
        elif request == "peak":
            answer = {"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
        else:
            answer = timed(functools.partial(step, request))
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def make_batch(model: str) -> dict:
    """The same random batch in every process."""
    import torch

    torch.manual_seed(0)
    batch, tokens, frames = SIZES[model]
    durations = torch.full((batch, max(tokens, 1)), frames // max(tokens, 1))
    durations[:, -1] += frames - durations.sum(1)
    return {
        "tokens": torch.randint(2, TOKENS - 1, (batch, tokens)),
        "token_lens": torch.full((batch,), tokens),
        "feats": torch.randn(batch, frames, BINS),
        "feat_lens": torch.full((batch,), frames),
        "durations": durations,
        "pitch": 100 + 100 * torch.rand(batch, frames),
        "energy": torch.rand(batch, frames),
        "wav": 0.1 * torch.randn(batch, frames * HOP),
    }


# --- ours ----------------------------------------------------------------------------------------------------------

OURS: dict[str, dict[str, Any]] = {
    "fastspeech2": {
        "embed_dim": 384,
        "encoder": {"name": "fft", "dim": 384, "num_layers": 6, "num_heads": 4, "ff_dim": 1536, "kernel_sizes": [1, 1]},
        "decoder": {"name": "fft", "dim": 384, "num_layers": 6, "num_heads": 4, "ff_dim": 1536, "kernel_sizes": [1, 1]},
        "duration": {"dim": 384, "dropout": 0.1},
        "pitch": {"dim": 384, "embed_kernel_size": 9},
        "energy": {"dim": 384, "embed_kernel_size": 9},
        "postnet_layers": 5,
    },
    "tacotron2": {"attention_dim": 512, "kernel_size": 15},
    "vits": {},
}
JUDGED = {
    "fastspeech2": {"mel": "l1", "mel_before": "l1", "log_duration": "mse", "pitch": "mse", "energy": "mse"},
    "tacotron2": {"mel": "l1", "mel_before": "l1", "stop": "bce", "alignment": "guided_attention"},
    "vits": {"kl": "nats", "duration": "nats"},
}
SCALES = {"vits": 1, "hifigan": 3}


def our_step(model: str) -> tuple[dict, Callable]:
    """Our networks, and the trainer's step over them."""
    import torch

    from speechkit.train.stepper import Stepper

    task = OurVocoder() if model == "hifigan" else OurVoice(model)
    batch = Batch(**make_batch(model))
    optimizers = {name: torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True) for name, net in task.networks.items()}

    def step(precision: str) -> float:
        return Stepper(task, optimizers, MAX_NORM, precision, torch.device("cpu")).step([batch]).loss

    return task.networks, step


class Batch(SimpleNamespace):
    """What the trainer's step wants to know of a batch."""

    def __len__(self) -> int:
        return len(self.wav)

    @property
    def ids(self) -> list[str]:
        """Of its utterances."""
        return [str(i) for i in range(len(self))]


class OurCritic:
    """The turns of a discriminator and of what makes waveforms."""

    def __init__(self, scales: int) -> None:
        from speechkit.config import validate
        from speechkit.features.mel import HifiganMel
        from speechkit.models.discriminator.combined import Combined
        from speechkit.objectives.adversarial import LeastSquares
        from speechkit.objectives.spectral import MelLoss

        parts = {"multi_period": "multi_period", "multi_scale": {"name": "multi_scale", "num_scales": scales}}
        self.discriminator = validate(Combined.Config, {"name": "combined", "parts": parts}).build()
        self.adversarial = LeastSquares.Config().build()
        self.featurizer = HifiganMel.Config().build()
        self.mel = MelLoss.Config().build(featurizer=self.featurizer)
        self.weights = {"mel": 45.0, **self.adversarial.weights}

    def turns(self, real: Any, fake: Any, others: dict) -> Iterator[tuple[str, dict]]:
        """As the tasks have it."""
        yield "discriminator", self.adversarial.discriminator_losses(self.discriminator, real, fake)
        fooled = self.adversarial.generator_losses(self.discriminator, real, fake)
        yield "model", others | {"mel": self.mel(fake, real)} | fooled


class OurVoice:
    """An acoustic model with its losses."""

    seen_data = False

    def __init__(self, model: str) -> None:
        from speechkit.config import validate
        from speechkit.models import acoustic  # noqa: F401 - registers them
        from speechkit.models.acoustic.base import AcousticFacts, AcousticModel
        from speechkit.objectives.speech import SpeechObjective
        from speechkit.text.vocabulary import Vocabulary

        facts = AcousticFacts(Vocabulary(TOKENS), BINS, HOP / RATE, 1, HOP, RATE)
        config = validate(AcousticModel.registry[model].Config, {"name": model, **OURS[model]})
        self.model = config.build(facts=facts)
        self.networks, self.weights = {"model": self.model}, dict.fromkeys(JUDGED[model], 1.0)
        self.objectives = {
            name: SpeechObjective.registry[loss].Config().build(of=name) for name, loss in JUDGED[model].items()
        }
        self.critic = OurCritic(SCALES[model]) if "segments" in self.model.gives else None
        if self.critic is not None:
            self.networks["discriminator"] = self.critic.discriminator
            self.weights |= self.critic.weights

    def losses(self, batch: Batch) -> Iterator[tuple[str, dict]]:
        """The turns of one batch."""
        from speechkit.models.acoustic.base import Speech
        from speechkit.nn.segments import take_segments

        data = {name: value for name, value in vars(batch).items() if name in Speech.__dataclass_fields__}
        speech = Speech(**data, speakers=batch.token_lens * 0)
        if not self.seen_data:
            self.model.fit([speech])
            self.seen_data = True
        learned = self.model(speech)
        losses = {name: objective(learned) for name, objective in self.objectives.items()}
        if self.critic is None:
            yield "model", losses
        else:
            pieces = learned.segments
            real = take_segments(batch.wav, pieces.starts * HOP, pieces.num_frames * HOP)
            yield from self.critic.turns(real, pieces.wav, losses)


class OurVocoder:
    """HiFi-GAN V1."""

    def __init__(self) -> None:
        from speechkit.models.vocoder.base import VocoderInput
        from speechkit.models.vocoder.hifigan import HifiGan

        self.model, self.critic = HifiGan.Config().build(given=VocoderInput(BINS, HOP, RATE)), OurCritic(SCALES["hifigan"])
        self.networks = {"model": self.model, "discriminator": self.critic.discriminator}
        self.weights = self.critic.weights

    def losses(self, batch: Batch) -> Iterator[tuple[str, dict]]:
        """The turns of one batch."""
        yield from self.critic.turns(batch.wav, self.model(batch.feats, self.model.draw_noise(batch.feats)), {})


# --- ESPnet's ------------------------------------------------------------------------------------------------------


def peer_step(model: str) -> tuple[dict, Callable]:
    """ESPnet's networks with their defaults, and the step of its trainer."""
    import torch

    networks, turns = PEERS[model](make_batch(model))
    optimizers = {name: torch.optim.AdamW(net.parameters(), lr=1e-4) for name, net in networks.items()}

    def step(precision: str) -> float:
        total = 0.0
        for name, loss_of in turns:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(networks[name].parameters(), MAX_NORM)
            optimizers[name].step()
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            total += loss.item()
        return total

    return networks, step


def peer_fastspeech2(batch: dict) -> tuple[dict, list]:
    """It adds a token to each text."""
    from espnet2.tts.fastspeech2 import FastSpeech2

    model = FastSpeech2(TOKENS, BINS)
    lens = batch["token_lens"]
    per_token = [batch[name].unflatten(1, (lens[0], -1)).mean(2, keepdim=True) for name in ("pitch", "energy")]

    def loss_of() -> Any:
        arguments = (batch["tokens"][:, 1:], lens - 1, batch["feats"], batch["feat_lens"], batch["durations"], lens)
        return model(*arguments, per_token[0], lens, per_token[1], lens)[0]

    return {"model": model}, [("model", loss_of)]


def peer_tacotron2(batch: dict) -> tuple[dict, list]:
    """It adds a token to each text."""
    from espnet2.tts.tacotron2 import Tacotron2

    model = Tacotron2(TOKENS, BINS)
    arguments = (batch["tokens"][:, 1:], batch["token_lens"] - 1, batch["feats"], batch["feat_lens"])
    return {"model": model}, [("model", lambda: model(*arguments)[0])]


def peer_vits(batch: dict) -> tuple[dict, list]:
    """It is given its linear spectrogram; ours computes it from the waveform."""
    import torch
    from espnet2.gan_tts.vits import VITS

    bins = 513
    model = VITS(TOKENS, bins)
    spectrogram = torch.rand(*batch["feats"].shape[:2], bins)
    wav_lens = batch["feat_lens"] * HOP
    arguments = (batch["tokens"], batch["token_lens"], spectrogram, batch["feat_lens"], batch["wav"], wav_lens)
    networks = {"model": model.generator, "discriminator": model.discriminator}
    turns = [
        ("discriminator", lambda: model(*arguments, forward_generator=False)["loss"]),
        ("model", lambda: model(*arguments, forward_generator=True)["loss"]),
    ]
    return networks, turns


def peer_hifigan(batch: dict) -> tuple[dict, list]:
    """Its vocoder is trained within a joint model; this is what of it makes waveforms, with the losses of its VITS."""
    import torch
    from espnet2.gan_tts.hifigan import HiFiGANGenerator, HiFiGANMultiScaleMultiPeriodDiscriminator
    from espnet2.gan_tts.hifigan.loss import (
        DiscriminatorAdversarialLoss,
        FeatureMatchLoss,
        GeneratorAdversarialLoss,
        MelSpectrogramLoss,
    )

    model, critic = HiFiGANGenerator(), HiFiGANMultiScaleMultiPeriodDiscriminator()
    sums = {"average_by_discriminators": False}
    mel, match = (
        MelSpectrogramLoss(log_base=None),
        FeatureMatchLoss(average_by_layers=False, include_final_outputs=True, **sums),
    )
    fool, tell = GeneratorAdversarialLoss(**sums), DiscriminatorAdversarialLoss(**sums)
    feats, real = batch["feats"].transpose(1, 2), batch["wav"].unsqueeze(1)
    kept = {}

    def discriminator() -> Any:
        kept["fake"] = model(feats)
        return sum(tell(critic(kept["fake"].detach()), critic(real)))

    def generator() -> Any:
        judged = critic(kept["fake"])
        with torch.no_grad():
            true = critic(real)
        with torch.autocast("cpu", enabled=False):
            return 45 * mel(kept["fake"].float(), real) + fool(judged) + 2 * match(judged, true)

    return {"model": model, "discriminator": critic}, [("discriminator", discriminator), ("model", generator)]


PEERS = {"fastspeech2": peer_fastspeech2, "tacotron2": peer_tacotron2, "vits": peer_vits, "hifigan": peer_hifigan}

if __name__ == "__main__":
    sys.exit(main())
