"""Every file of egs/conf/tts and of the recipes of synthesis: it can be read, and its network can be built."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from speechkit import config as configs
from speechkit.models import discriminator, vocoder  # noqa: F401 - registers them
from speechkit.tasks import tts
from speechkit.tasks.base import load_config
from speechkit.tasks.vocoder import build_vocoder
from speechkit.text.vocabulary import Vocabulary

EGS = Path(__file__).parents[1] / "egs"
VOCODERS = sorted(EGS.glob("*/tts/conf/vocoder.yaml"))
MODEL_LAYERS = sorted([*EGS.glob("conf/tts/*models/*.yaml"), *EGS.glob("*/tts/conf/*models/*.yaml")])
VOCODER_LAYERS = sorted([*EGS.glob("conf/tts/vocoders/*.yaml"), *EGS.glob("*/tts/conf/vocoders/*.yaml")])
MILLIONS = {  # parameters in millions (Kong et al., 2020, arXiv:2010.05646, table 1)
    "hifigan_v1": 13.92,
    "hifigan_v2": 0.92,
    "hifigan_v3": 1.46,
}


def name_of(path: Path) -> str:
    return path.relative_to(EGS).as_posix()


def voice_of(layer: Path) -> Path:
    """A config that the layer is for: its own recipe's, or that of a recipe with networks of its size."""
    if layer.parents[2] != EGS:
        return layer.parents[1] / "voice.yaml"
    return EGS / ("fsdd" if layer.parent.name == "small_models" else "ljspeech") / "tts/conf/voice.yaml"


@pytest.mark.parametrize("layer", MODEL_LAYERS, ids=name_of)
def test_a_model_is_built_from_its_layer_and_everything_that_it_gives_is_learned(layer: Path) -> None:
    config = load_config(voice_of(layer), [str(layer)])
    with torch.device("meta"):
        model = tts.build_model(config, Vocabulary(70, 0), num_speakers=3).acoustic
    tts.check_objectives(config, model)
    judged = model.gives - {"alignment", "segments"}
    assert judged <= config.objectives.keys(), f"nothing learns {judged - config.objectives.keys()}"
    assert ("durations" in model.needs) == (config.model.name == "fastspeech")


@pytest.mark.parametrize("layer", VOCODER_LAYERS, ids=name_of)
def test_a_vocoder_is_built_from_its_layer(layer: Path) -> None:
    for corpus in ("ljspeech", "fsdd"):  # whose hop lengths differ
        config = load_config(EGS / corpus / "tts/conf/vocoder.yaml", [str(layer)])
        with torch.device("meta"):
            build_vocoder(config, config.featurizer.build())


@pytest.mark.parametrize("name", MILLIONS)
def test_vocoders_are_as_large_as_published(name: str) -> None:
    config = load_config(EGS / "ljspeech/tts/conf/vocoder.yaml", [str(EGS / f"conf/tts/vocoders/{name}.yaml")])
    with torch.device("meta"):
        network = build_vocoder(config, config.featurizer.build())
    network.remove_weight_norm()
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(MILLIONS[name], abs=0.011)


@pytest.mark.parametrize("path", VOCODERS, ids=name_of)
def test_a_vocoder_hears_what_its_voice_says(path: Path) -> None:
    voice = load_config(path.with_name("voice.yaml"), [str(EGS / "conf/tts/models/fastspeech2.yaml")])
    vocoder = load_config(path, [str(EGS / "conf/tts/vocoders/hifigan_v1.yaml")])
    assert (vocoder.featurizer, vocoder.corpus) == (voice.featurizer, voice.corpus)


def test_there_is_a_layer_for_every_model_and_every_vocoder_that_learns() -> None:
    for folder in ("models", "small_models"):
        names = {path.stem for path in EGS.glob(f"conf/tts/{folder}/*.yaml")}
        assert names == {name for name in tts.AcousticModel.registry if not name.startswith("toy")}
    used = {configs.read_yaml(path)["vocoder"]["name"] for path in VOCODER_LAYERS}
    assert used == vocoder.base.Vocoder.registry.keys() - {"griffin_lim"}
