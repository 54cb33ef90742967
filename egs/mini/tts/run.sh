#!/usr/bin/env bash
# One voice of espeak-ng says digits and commands, and a small network learns it. No download; minutes on a CPU.
#
#   ./run.sh                                    prepare, train, synthesize, score, report
#   ./run.sh --model tacotron2                  another network, in the experiment exp/tacotron2; all: each of them
#   ./run.sh --vocoder istft                    with a vocoder that is trained in place of Griffin-Lim
#
# The recogniser of egs/mini/asr listens, if it is there.

conf=conf/voice.yaml
model_layers=tts/small_models
first_model=fastspeech2
exp=exp/$first_model
recognizer=../asr/exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"

parse_recipe_options "$@"
tts_stages
