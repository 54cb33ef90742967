#!/usr/bin/env bash
# One voice of espeak-ng says digits and commands, and a small network learns it. No download; minutes on a CPU.
#
#   ./run.sh                                    prepare, train, synthesize, score, report
#   ./run.sh --model tacotron2                  another network, in the experiment exp/tacotron2; all: each of them
#   ./run.sh --vocoder istft                    with a vocoder that is trained in place of Griffin-Lim
#   ./run.sh --loop                             and one page about the voice and about the recogniser that listens
#
# The recogniser of egs/mini/asr listens, if it is there.

conf=conf/voice.yaml
model_layers=tts/small_models
first_model=fastspeech2
exp=exp/$first_model
recognizer=../asr/exp/ctc
loop=false
recipe_options=(loop)
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"
option_help[loop]="write exp/loop.html, about the recogniser and the voice"

parse_recipe_options "$@"
tts_stages
if [[ $loop == true && -n $recognizer ]] && ((stop_stage >= 6)); then
  speechkit report "$recognizer" "$exp" --to "$(dirname "$exp")/loop.html"
fi
