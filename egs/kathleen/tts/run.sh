#!/usr/bin/env bash
# Kathleen: one woman from the US reads the CMU ARCTIC prompts, an hour and a half, CC0. Small networks, for a CPU.
#
#   ./run.sh                                    FastSpeech 2 with an aligner, and Griffin-Lim
#   ./run.sh --vocoder istft                    with a vocoder that is trained
#   ./run.sh --model tacotron2                  another network, in the experiment exp/tacotron2; all: each of them
#
# All takes of a prompt are in one split, so that what is said in the test was never heard in training.

conf=conf/voice.yaml
model_layers=tts/small_models
first_model=fastspeech2
exp=exp/$first_model
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/tts_recipe.sh"

parse_recipe_options "$@"
tts_stages
