#!/usr/bin/env bash
# yesno: one man says eight Hebrew words, each yes or no, in every one of 60 recordings. 6 minutes at 8 kHz.
#
#   ./run.sh                                    train on 30 recordings, test on the other 30: 240 words

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
