#!/usr/bin/env bash
# Baker: one woman reads 12 hours of Mandarin. For a GPU. Data-Baker gives the corpus to people who ask: see README.md.
#
#   ./run.sh --vocoder hifigan_v1               FastSpeech 2 with an aligner, and HiFi-GAN
#   ./run.sh --model vits                       another network, in the experiment exp/vits

conf=conf/voice.yaml
first_model=fastspeech2
exp=exp/$first_model
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"
recipe_extras=(tts) # pypinyin

parse_recipe_options "$@"
tts_stages
