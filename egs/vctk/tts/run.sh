#!/usr/bin/env bash
# VCTK: 109 speakers of English with many accents, 44 hours. For a GPU.
#
#   ./run.sh --vocoder hifigan_v1               FastSpeech 2 with an aligner, and HiFi-GAN
#   ./run.sh --model vits                       another network, in the experiment exp/vits
#   ./run.sh corpus.microphone=mic2             the other microphone

conf=conf/voice.yaml
first_model=fastspeech2
exp=exp/$first_model
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"

parse_recipe_options "$@"
tts_stages
