#!/usr/bin/env bash
# Common Voice: one language, read by volunteers. Its owner asks you to accept the terms before you download it:
#

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
