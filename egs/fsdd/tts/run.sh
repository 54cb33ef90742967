#!/usr/bin/env bash
# FSDD: six speakers say ten digits, 22 minutes at 8 kHz. Small networks, for a CPU.
#
#   ./run.sh                                    FastSpeech 2 with an aligner, and Griffin-Lim
#   ./run.sh --model all                        every network, and a table
#   ./run.sh --model tacotron2                  one of them, in the experiment exp/tacotron2
#
# The recogniser of egs/fsdd/asr listens, if it is there.

conf=conf/voice.yaml
model_layers=tts/small_models
first_model=fastspeech2
exp=exp/$first_model
recognizer=../asr/exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"

parse_recipe_options "$@"
tts_stages
