#!/usr/bin/env bash
# AISHELL-1: read Mandarin at 16 kHz by 400 speakers. 178 hours, 15 GB to download. Look at the CER.
#
#   ./run.sh                                    the published splits

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
