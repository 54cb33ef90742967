# Numbered stages that are skipped when they are done, to be sourced:
#
#   stage=0; stop_stage=99; force=false          # what utils/parse_options.sh may have changed
#   stage 1 "manifests" --log data/log --key "$corpus_key" speechkit prepare conf/ctc.yaml
#   stage 4 "train"     --log exp/ctc/log --input conf/ctc.yaml speechkit train conf/ctc.yaml --exp exp/ctc
#
# A stage runs when stage <= its number <= stop_stage unless it is done, which is when its mark
# LOG/<number>-<title>.done holds its present key. The key is a hash of the stage's command (or of --key TEXT instead,
# where not all of the command matters), of the content of its --input files and of the mark of the stage before; every
# run leaves another mark. So a changed config, override or input runs this stage and all after it again. `force=true`
# runs it anyway. What it prints goes to the screen and to LOG/<number>-<title>.log; with --show that log is printed
# again when the stage is skipped. When a stage fails, the script ends with its exit code and says the first error,
# where the log is, and how to go on. A function `before_running NUMBER` of the recipe is called before a stage runs.

stage_before=""  # the mark of the stage before
stage_missing="" # the first stage that was passed over without ever being done
stage_running=""

before_running() { :; }

hash_text() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-64; }

stage() {
  local number=$1 title=$2 log=log key="" show=false inputs=()
  shift 2
  while [[ $1 == --* ]]; do
    case $1 in
      --show) show=true && shift && continue ;;
      --log) log=$2 ;;
      --key) key=$2 ;;
      --input) inputs+=("$2") ;;
      *) echo "stage $number: unknown option $1" >&2 && exit 2 ;;
    esac
    shift 2
  done
  log=$log/$number-${title//[^A-Za-z0-9]/-}
  key=$({
    printf '%s\0' "$stage_before" "$number" "$title"
    if [[ -n $key ]]; then printf '%s\0' "$key"; else printf '%s\0' "$@"; fi
    ((${#inputs[@]} == 0)) || cat "${inputs[@]}"
  } | hash_text)
  if ((stage <= number && number <= stop_stage)); then
    if [[ $force == false && -f $log.done && $(<"$log.done") == "$key "* ]]; then
      echo "== stage $number: $title: done before"
      if [[ $show == true && -f $log.log ]]; then cat "$log.log"; fi
    else
      before_running "$number"
      run_stage "$number" "$title" "$log" "$@"
      echo "$key $(date +%s) $$ $RANDOM" >"$log.done.partial" && mv "$log.done.partial" "$log.done"
    fi
  fi
  if [[ -f $log.done ]]; then
    stage_before=$(<"$log.done")
  else
    stage_before="not done"
    stage_missing=${stage_missing:-$number}
  fi
}

run_stage() {
  local number=$1 title=$2 log=$3 status=0 started=$SECONDS
  shift 3
  echo "== stage $number: $title"
  mkdir -p "$(dirname "$log")"
  rm -f "$log.done"
  stage_running=$number
  start_command "$log.log" "$@"
  wait_for_command || status=$?
  if ((status)); then
    {
      echo
      echo "stage $number ($title) failed with exit code $status"
      echo "  first error: $(first_error "$log.log" "$status")"
      echo "  log:         $(cd "$(dirname "$log")" && pwd)/$(basename "$log").log"
      echo "  to go on:    $(again "${stage_missing:-$number}")"
    } >&2
    exit "$status"
  fi
  stage_running=""
  echo "== stage $number: $title: done in $((SECONDS - started)) s"
}

# The line of a log that tells the cause: the first that looks like an error, else the last one with any text.
first_error() {
  local rank='^(\[[^]]*\]:? *)?' # what torchrun puts before a line
  local python='[A-Za-z_][A-Za-z0-9_.]*(Error|Exception|Exit|Interrupt)(:|$)'
  local program='([^ ]+ ){0,3}(error|ERROR|fatal): '
  grep -m 1 -E -e "$rank($python|$program)" -e 'command not found|Permission denied|No such file' "$1" ||
    { (($2 == 137)) && echo "the process was killed, most likely because the machine ran out of memory"; } ||
    grep -v '^[[:space:]]*$' "$1" | tail -n 1 || echo "(nothing was printed)"
}

# again NUMBER: the command line that goes on with that stage.
again() {
  printf '%s --stage %s' "$script_name" "$1"
  ((${#given[@]} == 0)) || printf ' %q' "${given[@]}"
}

# --- Ctrl-C and SIGTERM ---------------------------------------------------------------------------------------------
#
# A stopped command may still have something to save and to say. So this script waits for it, and tee outlives the signal
# to pass that on. The command runs in the background, because only the builtin `wait` lets a trap act at once.

witness_pid="" tee_pid=""

# start_command LOG COMMAND...: afterwards $! is the command. A trap may act between any two of these lines.
start_command() {
  local log=$1
  shift
  exec {witness_input}> >(exec cat >/dev/null) && witness_pid=$! # ends with its input, if not by the signal
  exec {command_output}> >(trap '' INT TERM && exec tee "$log") && tee_pid=$!
  (trap - INT && exec "$@") >&"$command_output" 2>&1 <&0 {command_output}>&- {witness_input}>&- &
}

wait_for_command() {
  local status=0
  exec {command_output}>&- # so that tee ends with the command
  wait "$!" || status=$?
  wait "$tee_pid" || true
  exec {witness_input}>&-
  return "$status"
}

# on_signal NAME STATUS: pass the signal on, unless it went to the whole process group, as a terminal and most clusters
# send it. Then the witness is gone too, and a second signal would make the trainer stop without saving.
on_signal() {
  trap '' INT TERM
  echo >&2
  if [[ -n $stage_running ]]; then
    sleep 0.2
    if kill -0 "$witness_pid" 2>/dev/null; then kill -s "$1" "$!" 2>/dev/null || true; fi
    wait_for_command || true
    echo "interrupted in stage $stage_running; to go on: $(again "$stage_running")" >&2
  fi
  exit "$2"
}
trap 'on_signal INT 130' INT
trap 'on_signal TERM 143' TERM
