#!/usr/bin/env bash
# Common Voice: sentences read by volunteers, one of many languages. Download it yourself, since its owner asks
# you to accept the terms, and put it where stage 0 then says.
#
#   ./run.sh                                    English: tables train, dev and test
#   ./run.sh --exp exp/de corpus.language=de normalizer.name=basic

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
