#!/usr/bin/env bash
# LibriSpeech: read English books at 16 kHz. 960 hours to train on, 60 GB to download.
#
#   ./run.sh                                    train on everything, test on test-clean and test-other
#   ./run.sh --stop-stage 1                     only download it and make the manifests

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
