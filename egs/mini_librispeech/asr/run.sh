#!/usr/bin/env bash
# Mini LibriSpeech: train-clean-5 and dev-clean-2 of LibriSpeech. 7 hours of read English at 16 kHz.
#
#   ./run.sh                                    the official split: dev-clean-2 is dev and test
#   ./run.sh --exp exp/held_out corpus.split=held_out_speakers
#                                               24 speakers of train-clean-5: 17 train, 3 dev, 4 test
#   ./run.sh --conf conf/graph.yaml --exp exp/graph corpus.split=held_out_speakers
#                                               characters, decoded through a graph of a lexicon and a 3-gram model

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"
stage_numbers=(0 1 2 3 4 5 6)
recipe_extras=(graph)
option_help[stage]=${option_help[stage]/4 train/3 graph (if the search has one), 4 train}

parse_recipe_options "$@"
asr_stages
