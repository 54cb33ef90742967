#!/usr/bin/env bash
# Mini LibriSpeech: train-clean-5 and dev-clean-2 of LibriSpeech. 7 hours of read English at 16 kHz.
#
#   ./run.sh

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
