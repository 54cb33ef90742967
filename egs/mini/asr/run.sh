#!/usr/bin/env bash
# The built-in corpus: digits and commands that espeak-ng speaks. No download; minutes on a CPU.
#
#   ./run.sh                                    prepare, train, decode, score, report
#   ./run.sh --exp exp/small encoder.dim=64     another experiment on the same data
#   ./run.sh search.beam_size=16                decode the trained model again, with another search

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
