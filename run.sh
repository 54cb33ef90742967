#!/usr/bin/env bash
# speechkit: from recordings to a recogniser, and to a voice.
#
#   ./run.sh                              set up, then train a recogniser on the built-in corpus, and a voice that it listens
#                                         to, on a CPU: both are in egs/mini/tts/exp/loop.html
#   ./run.sh CORPUS [TASK] [OPTION ...] [key.sub=value ...]
#                                         set up, then run the recipe egs/CORPUS/TASK, for example
#                                         ./run.sh yesno asr --exp exp/small encoder.dim=64
#   ./run.sh CORPUS TASK --help           what that recipe does; its options: --stage N, --stop-stage N, --force ...
#   ./run.sh test [PYTEST ARGUMENT ...]   set up with the test extra, then run the tests
#   ./run.sh setup [EXTRA ...]            only set up, with extras of setup.py if wanted
#
# What is done already is skipped. Environment variables:
#
#   SPEECHKIT_CORPORA      a folder of corpora, each under its name: recipes look there before they download
#   SPEECHKIT_VENV         where the Python environment goes (default: .venv here)
#   PYTHON                 the interpreter to make it with (3.11 or newer; default: python3)
#   SPEECHKIT_TORCH_INDEX  a package index to take PyTorch from: the CPU-only builds, or another CUDA version
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script_name=$0
source "$repository/utils/parse_options.sh"
source "$repository/utils/stage.sh"
source "$repository/utils/setup.sh"

run_tests() {
  setup test
  cd "$repository"
  if (($# == 0)); then set -- --numprocesses auto --dist worksteal; fi
  exec "$venv/bin/python" -m pytest "$@"
}

# run_recipe CORPUS [TASK] ARGUMENT...
run_recipe() {
  local corpus=$1 task corpora tasks
  corpora=$(cd "$repository/egs" && ls -d */*/run.sh | cut -d / -f 1 | sort -u)
  [[ $'\n'$corpora$'\n' == *$'\n'"$corpus"$'\n'* ]] ||
    die "no corpus is called '$corpus'$(nearest "$corpus" $corpora test setup); there are: $(echo $corpora)"
  shift
  tasks=$(cd "$repository/egs/$corpus" && ls -d */run.sh | cut -d / -f 1)
  task=$tasks
  if [[ ${1-} =~ ^[A-Za-z0-9_]+$ ]]; then task=$1; fi
  [[ -f $repository/egs/$corpus/$task/run.sh ]] ||
    die "$corpus: expected a task, one of: $(echo $tasks); got ${1-none}$(nearest "${1-}" $tasks)"
  if [[ ${1-} == "$task" ]]; then shift; fi
  # The recipe checks its options, then calls `run.sh setup`: a typo is not found after minutes of installing.
  SPEECHKIT_COMMAND="$(printf %q "$script_name") $corpus $task" SPEECHKIT_VENV=$venv \
    exec "$repository/egs/$corpus/$task/run.sh" "$@"
}

# A recogniser, then a voice to which it listens: what one of them says, the other one should understand.
run_loop() {
  (run_recipe mini asr)
  run_recipe mini tts --loop
}

case ${1-} in
  -h | --help | help) usage "$repository/run.sh" ;;
  setup) shift && setup "$@" ;;
  test) shift && run_tests "$@" ;;
  "") run_loop ;;
  --* | *=*) run_recipe mini asr "$@" ;;
  *) run_recipe "$@" ;;
esac
