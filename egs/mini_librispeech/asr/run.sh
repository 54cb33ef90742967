#!/usr/bin/env bash
# Mini LibriSpeech: train-clean-5 and dev-clean-2 of LibriSpeech. 7 hours of read English at 16 kHz.
#
#   ./run.sh                                    the official split: dev-clean-2 is dev and test
#   ./run.sh --exp exp/held_out corpus.split=held_out_speakers
#                                               24 speakers of train-clean-5: 17 train, 3 dev, 4 test

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
