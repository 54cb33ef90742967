# What recipes of all tasks share, to be sourced by utils/<task>_recipe.sh.
#
# Everything happens in the recipe's own folder: downloads/, data/ and exp/ are made there.

set -euo pipefail
script_file=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
script_name=${SPEECHKIT_COMMAND:-$(printf %q "$0")}
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$repository/utils/parse_options.sh"
source "$repository/utils/stage.sh"

stage_numbers=(0 1 2 4 5 6)
recipe_extras=() # of setup.py that the recipe needs
stage=0
stop_stage=6
force=false
option_help=(
  [conf]="config of the experiment; key.sub=value changes it"
  [exp]="folder of the experiment"
  [stop_stage]="last stage to run"
  [force]="run stages again that are done"
)

# start_recipe OPTION... -- ARGUMENT...: read the options; then find speechkit and go to the recipe's folder.
start_recipe() {
  parse_options "$@"
  check_stages
  check_options
  if [[ -n ${SPEECHKIT_COMMAND-} ]]; then "$repository/run.sh" setup "${recipe_extras[@]}"; fi # called by run.sh
  local venv=${SPEECHKIT_VENV:-$repository/.venv}
  if [[ -d $venv/bin ]]; then PATH=$(cd "$venv/bin" && pwd):$PATH; fi
  command -v speechkit >/dev/null || die "no speechkit in $venv; run $repository/run.sh setup first" 1
  export PYTHONUNBUFFERED=1 # so that the screen and the log show lines when they happen, in their order
  export COLUMNS
  if [[ -t 1 ]]; then COLUMNS=$(tput cols 2>/dev/null || echo 100); else COLUMNS=${COLUMNS:-120}; fi
  cd "$(dirname "$script_file")"
}

check_options() { :; } # what a task has to say of its options before anything is installed

check_stages() {
  local number
  for number in "${stage_numbers[@]}"; do
    if ((stage <= number && number <= stop_stage)); then return 0; fi
  done
  die "expected one of the stages ${stage_numbers[*]} from --stage to --stop-stage, got none: \
--stage $stage --stop-stage $stop_stage"
}

# --- layers: files of keys that are laid over the config ---------------------------------------------------------------
#
# Those of a FOLDER such as asr/objectives are in egs/conf/asr/objectives; what a recipe has of its own in conf/objectives
# goes first.

layer_names() {
  local path
  for path in "$repository/egs/conf/$1"/*.yaml "$(dirname "$script_file")/conf/${1##*/}"/*.yaml; do
    if [[ -f $path ]]; then basename "$path" .yaml; fi
  done | sort -u
}

# layer_path FOLDER NAME
layer_path() {
  local own=conf/${1##*/}/$2.yaml
  if [[ -f $own ]]; then echo "$own"; else echo "$repository/egs/conf/$1/$2.yaml"; fi
}

# check_layer OPTION FOLDER [WORD]: the option is empty, WORD, or one of the layers.
check_layer() {
  local value=${!1} names choices=${3:+$3 or }
  names=$(layer_names "$2")
  if [[ -z $value || $value == "${3-}" || $'\n'$names$'\n' == *$'\n'"$value"$'\n'* ]]; then return 0; fi
  die "--${1//_/-}: expected ${choices}one of: $(echo $names); got '$value'$(nearest "$value" $names)"
}

# --- the stages that all tasks have ------------------------------------------------------------------------------------

# manifest_stages KEY CONF CHANGE...: the corpus, and its manifests.
manifest_stages() {
  local key=$1 log=data/log/${1:0:8}
  shift
  stage 0 "download" --log "$log" --key "$key" speechkit prepare "$@" --download-only
  stage 1 "manifests" --log "$log" --key "$key" speechkit prepare "$@"
}

# config_keys CONF CHANGE...: hashes of what the manifests depend on and of the whole config; then, - for none,
# `data.features`, `search.graph`, `model.durations`, `token_durations`, and whether there is a discriminator.
config_keys() {
  python - "$PWD" "$@" <<'PYTHON'
import hashlib
import json
import sys

from speechkit import config


def digest(*values):
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def inside(part, key):
    return (part.get(key) if isinstance(part, dict) else None) or "-"


folder, path, *changes = sys.argv[1:]
try:
    raw = config.merge(config.read_yaml(path), config.parse_overrides(changes))
except config.ConfigError as error:
    sys.exit(f"error: {error}")
data = raw.get("data") or {}
# Manifests hold absolute paths of recordings, so a moved folder needs new ones.
manifests = digest(folder, raw.get("corpus"), data.get("root"))
graph, durations = inside(raw.get("search"), "graph"), inside(raw.get("model"), "durations")
known, judged = raw.get("token_durations") or "-", "discriminator" if raw.get("discriminator") else "-"
print(manifests, digest(raw), data.get("features", "on_the_fly"), graph, durations, known, judged)
PYTHON
}

# check_config CONF CHANGE...: read and check all of it.
check_config() {
  python - "$@" <<'PYTHON'
import sys

from speechkit.tasks.base import load_config

try:
    config = load_config(sys.argv[1], sys.argv[2:])
    config.component.check(config)
except ValueError as error:
    sys.exit(f"error: {error}")
PYTHON
}
