#!/usr/bin/env bash
# LibriTTS: 1151 speakers read 245 clean hours of books at 24 kHz. For a GPU.
#
#   ./run.sh --vocoder hifigan_v1               FastSpeech 2 with an aligner, and HiFi-GAN
#   ./run.sh --model vits                       another network, in the experiment exp/vits
#   ./run.sh corpus.train_parts=[train-clean-100]
#                                               247 speakers, 54 hours

conf=conf/voice.yaml
first_model=fastspeech2
exp=exp/$first_model
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"

parse_recipe_options "$@"
tts_stages
