# What all recognition recipes share, to be sourced by egs/<corpus>/asr/run.sh after it has set its options:
#
#   conf=conf/ctc.yaml; exp=exp/ctc
#   source ".../utils/asr_recipe.sh"
#   parse_recipe_options "$@"
#   asr_stages
#
# Everything happens in the recipe's own folder: downloads/, data/ and exp/ are made there.

set -euo pipefail
script_file=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
script_name=${SPEECHKIT_COMMAND:-$(printf %q "$0")}
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$repository/utils/parse_options.sh"
source "$repository/utils/stage.sh"

stage_numbers=(0 1 2 4 5 6) # a recipe with decoding graphs puts 3 in, and the extra that they need
recipe_extras=()
stage=0
stop_stage=6
force=false
objective=""
option_help=(
  [objective]="a file NAME of egs/conf/asr/objectives (conf/objectives of a recipe goes first) laid over the config, in the experiment NAME beside --exp; all: each of them, and a table"
  [conf]="config of the experiment; key.sub=value changes it"
  [exp]="folder of the experiment"
  [stage]="first stage to run: 0 download, 1 manifests, 2 tokenizer, 4 train, 5 average and decode, 6 score and report"
  [stop_stage]="last stage to run"
  [force]="run stages again that are done"
)
search_checked=false

# parse_recipe_options ARGUMENT...: the options of every recipe, those in the array `recipe_options`, and overrides.
parse_recipe_options() {
  parse_options conf exp objective stage stop_stage force "${recipe_options[@]}" -- "$@"
  check_stages
  check_objective
  if [[ -n ${SPEECHKIT_COMMAND-} ]]; then "$repository/run.sh" setup "${recipe_extras[@]}"; fi # called by run.sh
  local venv=${SPEECHKIT_VENV:-$repository/.venv}
  if [[ -d $venv/bin ]]; then PATH=$(cd "$venv/bin" && pwd):$PATH; fi
  command -v speechkit >/dev/null || die "no speechkit in $venv; run $repository/run.sh setup first" 1
  export PYTHONUNBUFFERED=1 # so that the screen and the log show lines when they happen, in their order
  export COLUMNS
  if [[ -t 1 ]]; then COLUMNS=$(tput cols 2>/dev/null || echo 100); else COLUMNS=${COLUMNS:-120}; fi
  cd "$(dirname "$script_file")"
}

check_stages() {
  local number
  for number in "${stage_numbers[@]}"; do
    if ((stage <= number && number <= stop_stage)); then return 0; fi
  done
  die "expected one of the stages ${stage_numbers[*]} from --stage to --stop-stage, got none: \
--stage $stage --stop-stage $stop_stage"
}

# Layers of objectives: those that recipes share, and before them what a recipe has of its own in conf/objectives.
objective_layers() {
  local path
  for path in "$repository"/egs/conf/asr/objectives/*.yaml "$(dirname "$script_file")"/conf/objectives/*.yaml; do
    if [[ -f $path ]]; then basename "$path" .yaml; fi
  done | sort -u
}

objective_layer() {
  local own=conf/objectives/$1.yaml
  if [[ -f $own ]]; then echo "$own"; else echo "$repository/egs/conf/asr/objectives/$1.yaml"; fi
}

check_objective() {
  local names
  names=$(objective_layers)
  if [[ -z $objective || $objective == all || $'\n'$names$'\n' == *$'\n'"$objective"$'\n'* ]]; then return 0; fi
  die "--objective: expected all or one of: $(echo $names); got '$objective'$(nearest "$objective" $names)"
}

# asr_stages: from nothing to scored recognisers: one in $exp as $conf and `overrides` say, or one per --objective.
asr_stages() {
  if [[ -z $objective ]]; then
    asr_experiment
    return
  fi
  local names=$objective name parent common=("${overrides[@]}") experiments=()
  parent=$(dirname "$exp")
  if [[ $objective == all ]]; then names=$(objective_layers); fi
  for name in $names; do
    exp=$parent/$name overrides=("$(objective_layer "$name")" "${common[@]}")
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
  read -r corpus_key all_key features graph <<<"$keys"
  local data_log=data/log/${corpus_key:0:8} exp_log=$exp/log
  stage_before="" stage_missing=""

  stage 0 "download" --log "$data_log" --key "$corpus_key" \
    speechkit prepare "$conf" "${changes[@]}" --download-only
  stage 1 "manifests" --log "$data_log" --key "$corpus_key" \
    speechkit prepare "$conf" "${changes[@]}"
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
  python - "$conf" "${overrides[@]}" <<'PYTHON'
import sys

from speechkit.tasks.base import load_config

try:
    config = load_config(sys.argv[1], sys.argv[2:])
    config.component.check(config)
except ValueError as error:
    sys.exit(f"error: {error}")
PYTHON
  search_checked=true
}

# config_keys CONF CHANGE...: hashes of what the manifests depend on and of the whole config, `data.features`, and
# `search.graph` (- for none).
config_keys() {
  python - "$PWD" "$@" <<'PYTHON'
import hashlib
import json
import sys

from speechkit import config


def digest(*values):
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


folder, path, *changes = sys.argv[1:]
try:
    raw = config.merge(config.read_yaml(path), config.parse_overrides(changes))
except config.ConfigError as error:
    sys.exit(f"error: {error}")
data = raw.get("data") or {}
# Manifests hold absolute paths of recordings, so a moved folder needs new ones.
search = raw.get("search")
graph = search.get("graph") if isinstance(search, dict) else None
manifests = digest(folder, raw.get("corpus"), data.get("root"))
print(manifests, digest(raw), data.get("features", "on_the_fly"), graph or "-")
PYTHON
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
