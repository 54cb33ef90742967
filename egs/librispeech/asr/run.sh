#!/usr/bin/env bash
# LibriSpeech: read English at 16 kHz, tested on test-clean and test-other. 960 hours, 60 GB to download.
#
#   ./run.sh
#   ./run.sh --stop-stage 1                     only download it and make the manifests

conf=conf/ctc.yaml
exp=exp/ctc
source "$(dirname "${BASH_SOURCE[0]}")/../../../utils/asr_recipe.sh"

parse_recipe_options "$@"
asr_stages
