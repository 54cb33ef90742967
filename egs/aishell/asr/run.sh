#!/usr/bin/env bash
# AISHELL-1: read Mandarin at 16 kHz by 400 speakers, scored in characters. 178 hours, 15 GB to download.
#
#   ./run.sh

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
