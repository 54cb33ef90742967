#!/usr/bin/env bash
# The built-in corpus, which espeak-ng speaks: nothing is downloaded, and a CPU trains on it in minutes.
#
#   ./run.sh                                    prepare, train, decode, score, report
#   ./run.sh --exp exp/small encoder.dim=64     another experiment on the same data
#   ./run.sh --stage 5 search.beam_size=16      decode the trained model again, with another search

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
