#!/usr/bin/env bash
# FSDD, the Free Spoken Digit Dataset: ten English digits, fifty takes by each of six speakers. 22 minutes at 8 kHz.
#
#   ./run.sh                                    the official split: takes 0 to 4 are the test set, 300 clips
#   ./run.sh --loso true                        leave one speaker out: six recognisers, each tested on the one it never
#                                               heard; experiments exp/ctc_without_<speaker>
#   ./run.sh --conf conf/connected.yaml --exp exp/connected
#                                               strings of three to seven digits with pauses and noise

conf=conf/ctc.yaml
exp=exp/ctc
loso=false
recipe_options=(loso)
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"
option_help[loso]="leave one speaker out, each of the six in turn"

parse_recipe_options "$@"
if [[ $loso == false ]]; then
  asr_stages
  exit
fi

common=("${overrides[@]}") prefix=$exp experiments=()
for speaker in george jackson lucas nicolas theo yweweler; do
  exp=${prefix}_without_$speaker
  overrides=("${common[@]}" corpus.split=leave_one_out "corpus.held_out=$speaker")
  asr_stages
  experiments+=("$exp")
done
if ((stop_stage >= 6)); then pooled_error_rate test "${experiments[@]}"; fi
