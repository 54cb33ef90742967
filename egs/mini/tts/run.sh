#!/usr/bin/env bash
# One voice of espeak-ng says digits and commands, and a small network learns it. No download; minutes on a CPU.
#
#   ./run.sh                                    prepare, train, synthesize, score, report
#   ./run.sh --model vits                       another network, in the experiment exp/vits
#   ./run.sh --vocoder hifigan_v3               with a vocoder of its own in place of Griffin-Lim
#
# The recogniser of egs/mini/asr listens, if it is there.

conf=conf/voice.yaml
first_model=fastspeech2
exp=exp/$first_model
recognizer=../asr/exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"

parse_recipe_options "$@"
tts_stages
