from __future__ import annotations

import pytest
import torch
import tts_toy

from speechkit.tasks.voice import load_voice
from speechkit.utils.model_dir import load_weights


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    return tts_toy.finish(tmp_path_factory.mktemp("voice"))


def test_a_voice_has_the_averaged_weights_and_all_that_belongs_to_them(exp):
    voice = load_voice(exp)
    averaged, own = load_weights(exp / "averaged.safetensors"), voice.model.state_dict()
    assert own.keys() == averaged.keys()
    for name, value in averaged.items():
        torch.testing.assert_close(own[name], value, rtol=0, atol=0)
    assert set(voice.tokenizer.tokens) >= {"low", "high"} and voice.speakers.names == ["s"]
    assert voice.config.vocoder == "griffin_lim" and voice.model.acoustic.facts.num_speakers == 1


def test_its_config_can_be_changed_and_nothing_else_is_taken_for_a_voice(exp, tmp_path):
    assert load_voice(exp, ["vocoder=exp/hifigan"]).config.vocoder == "exp/hifigan"
    with pytest.raises(ValueError, match=f"{tmp_path}: no checksums.json, so no finished model"):
        load_voice(tmp_path)
