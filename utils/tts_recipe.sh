# What all recipes of synthesis share, to be sourced by egs/<corpus>/tts/run.sh after it has set its options:
#
#   conf=conf/voice.yaml; first_model=fastspeech2; exp=exp/$first_model
#   source ".../utils/tts_recipe.sh"
#   parse_recipe_options "$@"
#   tts_stages
#
# A config says what is spoken and how long to train; which network learns it is a layer of egs/conf/tts/models, or of
# small_models where `model_layers=tts/small_models`.

source "$(dirname "${BASH_SOURCE[0]}")/recipe.sh"

stage_numbers=(0 1 2 3 4 5 6)
model_layers=${model_layers-tts/models}
model=""
vocoder=""
vocoder_conf=conf/vocoder.yaml
vocoder_exp=""
vocoder_changes=""
teacher=""
recognizer=${recognizer-}
recognizer_default=$recognizer
option_help+=(
  [model]="a file NAME of egs/conf/$model_layers (conf/${model_layers#*/} of a recipe goes first) laid over the config, in the experiment NAME beside --exp; all: each of them, and a table; empty: $first_model in --exp"
  [vocoder]="a file NAME of egs/conf/tts/vocoders (conf/vocoders of a recipe goes first): train it, and let it speak; empty: what the config says, Griffin-Lim by default"
  [vocoder_conf]="config of the vocoder, under that file"
  [vocoder_exp]="folder of the vocoder's experiment; empty: NAME beside --exp"
  [vocoder_changes]="key.sub=value ..., which change the vocoder's config"
  [teacher]="experiment that says how long tokens last, for models that have to be told: a voice with attention, or a recogniser of the same tokens; empty: transformer_tts beside --exp"
  [recognizer]="experiment of a recogniser, which is to understand what the voice says; none: nobody listens"
  [stage]="first stage to run: 0 download, 1 manifests, 2 tokenizer, 3 durations (if the model has to be told), 4 train, 5 average and synthesize, 6 score and report"
)

# parse_recipe_options ARGUMENT...: the options of every recipe, those in the array `recipe_options`, and overrides.
parse_recipe_options() {
  start_recipe conf exp model vocoder vocoder_conf vocoder_exp vocoder_changes teacher recognizer stage stop_stage force \
    "${recipe_options[@]}" -- "$@"
  find_recognizer
}

check_options() {
  check_layer model "$model_layers" all
  check_layer vocoder tts/vocoders
}

find_recognizer() {
  if [[ -z $recognizer || $recognizer == none ]]; then
    recognizer=""
  elif [[ ! -f $recognizer/checksums.json ]]; then
    [[ $recognizer == "$recognizer_default" ]] || die "--recognizer $recognizer: expected a finished recogniser, found none"
    echo "nobody listens: there is no recogniser in $recognizer"
    recognizer=""
  fi
}

# tts_stages: from nothing to scored voices: one in $exp, or one per --model.
tts_stages() {
  local vocoder_mark="" name names parent experiments=()
  parent=$(dirname "$exp")
  if [[ -n $vocoder ]]; then vocoder_experiment "${vocoder_exp:=$parent/$vocoder}"; fi
  if [[ -z $model ]]; then
    tts_experiment "$first_model"
    return
  fi
  names=$model
  if [[ $model == all ]]; then names=$(teachers_first); fi
  for name in $names; do
    exp=$parent/$name
    tts_experiment "$name"
    experiments+=("$exp")
  done
  if ((stop_stage >= 6 && ${#experiments[@]} > 1)); then
    speechkit report "${experiments[@]}" | tee "$parent/models.md"
  fi
}

# All models, those last that learn durations from another one.
teachers_first() {
  local name keys pupils=()
  for name in $(layer_names "$model_layers"); do
    keys=$(config_keys "$conf" "$(layer_path "$model_layers" "$name")" "${overrides[@]}")
    if [[ $keys == *" given - "* ]]; then pupils+=("$name"); else echo "$name"; fi
  done
  printf '%s\n' "${pupils[@]}"
}

# vocoder_experiment EXP: a trained vocoder there; it learns from the same recordings. `vocoder_mark` tells it from others.
vocoder_experiment() {
  local changes=() override keys corpus_key all_key log=$1/log
  changes=("$(layer_path tts/vocoders "$vocoder")")
  for override in "${overrides[@]}"; do
    if [[ $override =~ ^(corpus|featurizer|data)[.=] ]]; then changes+=("$override"); fi
  done
  for override in $vocoder_changes; do changes+=("$override"); done
  keys=$(config_keys "$vocoder_conf" "${changes[@]}")
  read -r corpus_key all_key _ <<<"$keys"
  stage_before="" stage_missing=""
  manifest_stages "$corpus_key" "$vocoder_conf" "${changes[@]}"
  stage 4 "train vocoder" --log "$log" --key "$all_key" \
    speechkit train "$vocoder_conf" "${changes[@]}" --exp "$1" --fail-if-stopped
  stage 5 "average vocoder" --log "$log" \
    speechkit average "$1"
  vocoder_mark=$stage_before
}

# tts_experiment NAME: a scored voice of that model in $exp, as $conf and `overrides` say.
tts_experiment() {
  local changes=() spoken=() override keys corpus_key all_key durations known judged log=$exp/log listener=""
  changes=("$(layer_path "$model_layers" "$1")")
  for override in "${overrides[@]}"; do # a trained voice can speak through any vocoder
    if [[ $override == vocoder=* ]]; then spoken+=("$override"); else changes+=("$override"); fi
  done
  keys=$(config_keys "$conf" "${changes[@]}")
  read -r corpus_key all_key _ _ durations known judged <<<"$keys"
  if [[ -n $vocoder && $judged == - ]]; then spoken+=("vocoder=$vocoder_exp"); fi
  if [[ -n $recognizer ]]; then listener=$(<"$recognizer/checksums.json"); fi
  if [[ $durations == given && $known == - ]]; then check_teacher; fi
  stage_before="" stage_missing=""

  manifest_stages "$corpus_key" "$conf" "${changes[@]}"
  stage 2 "tokenizer" --log "$log" --key "$all_key" \
    speechkit tokenizer "$conf" "${changes[@]}"
  if [[ $durations == given && $known == - ]]; then
    changes+=("token_durations=$exp/durations.jsonl")
    duration_stage "$all_key" "$log"
  fi
  stage 4 "train" --log "$log" --key "$all_key" \
    speechkit train "$conf" "${changes[@]}" --exp "$exp" --fail-if-stopped
  stage 5 "average" --log "$log" \
    speechkit average "$exp"
  stage 5 "synthesize" --log "$log" --key "synthesize ${spoken[*]} $vocoder_mark" \
    speechkit synthesize "$exp" "${spoken[@]}"
  stage 6 "score" --log "$log" --show --key "score $recognizer $listener" \
    speechkit score "$exp" ${recognizer:+--recognizer "$recognizer"}
  stage 6 "report" --log "$log" --show \
    speechkit report "$exp"
}

# A teacher that is not there is noticed before anything is downloaded.
check_teacher() {
  local from=${teacher:-$(dirname "$exp")/transformer_tts}
  if ((stage > 3 || stop_stage < 3)) || [[ -f $from/checksums.json ]]; then return 0; fi
  die "$exp: expected an experiment that knows how long tokens last, found none in $from; train one first \
(--model transformer_tts), or name one: --teacher EXP" 1
}

# duration_stage KEY LOG: the file that `changes` name last, by the teacher.
duration_stage() {
  local from=${teacher:-$(dirname "$exp")/transformer_tts} sums=""
  if [[ -f $from/checksums.json ]]; then sums=$(<"$from/checksums.json"); fi
  stage 3 "durations" --log "$2" --key "$1 $from $sums" \
    speechkit durations "$from" "$conf" "${changes[@]}" --to "$exp/durations.jsonl"
}
