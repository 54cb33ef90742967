#!/usr/bin/env bash
# LJSpeech: one woman reads 24 hours of non-fiction. For a GPU.
#
#   ./run.sh --vocoder hifigan_v1               FastSpeech 2 with an aligner, and HiFi-GAN
#   ./run.sh --model vits                       another network, in the experiment exp/vits; all: each of them
#   ./run.sh --model fastspeech --teacher exp/transformer_tts
#                                               durations from the attention of another voice
#   ./run.sh --recognizer ../../librispeech/asr/exp/ctc
#                                               and a recogniser listens

conf=conf/voice.yaml
first_model=fastspeech2
exp=exp/$first_model
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"

parse_recipe_options "$@"
tts_stages
