# What all recognition recipes share, to be sourced by egs/<corpus>/asr/run.sh after it has set its options:
#
#   conf=conf/ctc.yaml; exp=exp/ctc
#   source ".../utils/asr_recipe.sh"
#   parse_recipe_options "$@"
#   asr_stages

source "$(dirname "${BASH_SOURCE[0]}")/recipe.sh"

# A recipe with decoding graphs puts 3 into stage_numbers, and the extra that they need into recipe_extras.
objective=""
option_help[objective]="a file NAME of egs/conf/asr/objectives (conf/objectives of a recipe goes first) laid over the config, in the experiment NAME beside --exp; all: each of them, and a table"
option_help[stage]="first stage to run: 0 download, 1 manifests, 2 tokenizer, 4 train, 5 average and decode, 6 score and report"
search_checked=false

# parse_recipe_options ARGUMENT...: the options of every recipe, those in the array `recipe_options`, and overrides.
parse_recipe_options() {
  start_recipe conf exp objective stage stop_stage force "${recipe_options[@]}" -- "$@"
}

check_options() { check_layer objective asr/objectives all; }

# asr_stages: from nothing to scored recognisers: one in $exp as $conf and `overrides` say, or one per --objective.
asr_stages() {
  if [[ -z $objective ]]; then
    asr_experiment
    return
  fi
  local names=$objective name parent common=("${overrides[@]}") experiments=()
  parent=$(dirname "$exp")
  if [[ $objective == all ]]; then names=$(layer_names asr/objectives); fi
  for name in $names; do
    exp=$parent/$name overrides=("$(layer_path asr/objectives "$name")" "${common[@]}")
    asr_experiment
    experiments+=("$exp")
  done
  if ((stop_stage >= 6 && ${#experiments[@]} > 1)); then
    speechkit report "${experiments[@]}" | tee "$parent/objectives.md"
  fi
}

# asr_experiment: from nothing to a scored recogniser in $exp, as $conf and `overrides` say.
asr_experiment() {
  local changes=() search=() override keys corpus_key all_key features graph
  for override in "${overrides[@]}"; do # a trained model can be searched in many ways: that changes decoding alone
    if [[ $override =~ ^search[.=] ]]; then search+=("$override"); else changes+=("$override"); fi
  done
  keys=$(config_keys "$conf" "${changes[@]}")
  read -r corpus_key all_key features graph _ <<<"$keys"
  local exp_log=$exp/log
  stage_before="" stage_missing=""

  manifest_stages "$corpus_key" "$conf" "${changes[@]}"
  stage 2 "tokenizer" --log "$exp_log" --key "$all_key" \
    speechkit tokenizer "$conf" "${changes[@]}"
  if [[ $features == precomputed ]]; then
    stage 2 "features" --log "$exp_log" --key "$all_key" \
      speechkit features "$conf" "${changes[@]}"
  fi
  if [[ $graph == graph || " ${search[*]} " == *" search.graph=graph "* ]]; then # the experiment's own
    stage 3 "graph" --log "$exp_log" --key "$all_key" \
      speechkit graph "$conf" "${changes[@]}" --to "$exp/graph"
  fi
  stage 4 "train" --log "$exp_log" --key "$all_key" \
    speechkit train "$conf" "${changes[@]}" --exp "$exp" --fail-if-stopped
  stage 5 "average" --log "$exp_log" \
    speechkit average "$exp"
  stage 5 "decode" --log "$exp_log" \
    speechkit decode "$exp" "${search[@]}"
  stage 6 "score" --log "$exp_log" --show \
    speechkit score "$exp"
  stage 6 "report" --log "$exp_log" --show \
    speechkit report "$exp"
}

# A search that cannot be is noticed before training, not after it: the first to be told of it is `speechkit decode`.
before_running() {
  if (($1 > 4 || ${#search[@]} == 0)) || [[ $search_checked == true ]]; then return 0; fi
  check_config "$conf" "${overrides[@]}"
  search_checked=true
}

# pooled_error_rate SET EXPERIMENT...: the word error rate of SET in each experiment and over all their words.
pooled_error_rate() {
  python - "$@" <<'PYTHON'
import json
import sys
from pathlib import Path

name, *experiments = sys.argv[1:]
rates = {exp: json.loads(Path(exp, "decode", name, "wer.json").read_text(encoding="utf-8")) for exp in experiments}
rates["all"] = {key: sum(rate[key] for rate in rates.values()) for key in ("errors", "ref_len")}
for exp, rate in rates.items():
    print(f"{exp:30} WER {100 * rate['errors'] / rate['ref_len']:6.2f} %  [{rate['errors']} / {rate['ref_len']}]")
PYTHON
}
