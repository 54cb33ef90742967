# The Python environment, to be sourced by run.sh: `setup test` makes "$venv" hold speechkit with its [test] extra.
#
# $venv/.speechkit/ remembers what was done: one file per extra with a fingerprint of all that its installation depends
# on, written when the installation has ended well. While these are current, nothing is started, not even Python.
#
#   SPEECHKIT_VENV         where the environment goes (default: .venv beside run.sh)
#   PYTHON                 the interpreter to make it with (default: the first of python3, python3.13 ... that will do)
#   SPEECHKIT_TORCH_INDEX  a package index to take PyTorch from: the CPU-only builds, or another CUDA version

venv=${SPEECHKIT_VENV:-$repository/.venv}
[[ $venv == /* ]] || venv=$PWD/$venv
describe_python='import os, sys; print(sys.version.split()[0], os.path.realpath(sys._base_executable))'

say() { printf 'setup: %s\n' "$*" >&2; }

setup() {
  local fingerprint extra
  check_extras "$@"
  fingerprint=$({ printf '%s\n' "$repository" "$venv" && cat "$repository"/{setup.py,constraints.txt}; } | hash_text)
  if installed "$fingerprint" core "$@"; then return 0; fi
  if command -v flock >/dev/null; then # a second run.sh waits for the first
    exec 9<"$repository/setup.py" && flock 9
    if installed "$fingerprint" core "$@"; then exec 9<&- && return 0; fi
  fi
  make_venv
  mkdir -p "$venv/.speechkit"
  install_packages "$@"
  compile_imports
  for extra in core "$@"; do echo "$fingerprint" >"$venv/.speechkit/$extra"; done
  exec 9<&-
  say "done; the environment is $venv"
}

check_extras() {
  local extra extras
  extras=$(sed -n '/^EXTRAS = {/,/^}/s/^ *"\([^"]*\)":.*/\1/p' "$repository/setup.py")
  for extra in "$@"; do
    [[ $'\n'$extras$'\n' == *$'\n'"$extra"$'\n'* ]] ||
      die "setup: expected extras of setup.py, from: $(echo $extras); got '$extra'$(nearest "$extra" $extras)"
  done
}

# installed FINGERPRINT EXTRA...: whether all of them are, by this very setup and the interpreter that was asked for.
installed() {
  local fingerprint=$1 extra
  shift
  [[ -x $venv/bin/python ]] || return 1
  for extra in "$@"; do
    [[ -f $venv/.speechkit/$extra && $(<"$venv/.speechkit/$extra") == "$fingerprint" ]] || return 1
  done
  [[ -z ${PYTHON-} ]] || made_by_python
}

# Whether the environment was made by $PYTHON; one that somebody else made has no record of that and will do.
made_by_python() {
  [[ ! -f $venv/.speechkit/python ]] || [[ $("$PYTHON" -c "$describe_python" 2>&1) == "$(<"$venv/.speechkit/python")" ]]
}

# --- the environment ------------------------------------------------------------------------------------------------

make_venv() {
  local python
  if [[ -e $venv ]]; then
    if venv_works; then return 0; fi
    [[ -d $venv/.speechkit || -z ${SPEECHKIT_VENV-} || -z $(ls -A "$venv") ]] ||
      die "SPEECHKIT_VENV=$venv: expected a working virtual environment or nothing, got something else; \
choose another place" 1
  fi
  python=$(find_python)
  if [[ -e $venv ]]; then
    say "$venv is incomplete, was moved, or is another Python's: making it anew"
    rm -rf "$venv"
  fi
  say "making a virtual environment in $venv with Python $("$python" -c "$describe_python")"
  mkdir -p "$venv/.speechkit"
  create_venv "$python"
  "$venv/bin/python" -c "$describe_python" >"$venv/.speechkit/python"
  echo "$venv" >"$venv/.speechkit/place"
}

venv_works() {
  [[ ! -f $venv/.speechkit/place || $(<"$venv/.speechkit/place") == "$venv" ]] || return 1 # scripts hold absolute paths
  "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.prefix == sys.base_prefix or sys.version_info < (3, 11))' \
    >/dev/null 2>&1 || return 1
  [[ -z ${PYTHON-} ]] || made_by_python
}

create_venv() {
  local output
  if output=$("$1" -m venv "$venv" 2>&1 && "$venv/bin/python" -m pip --version 2>&1); then return 0; fi
  if "$1" -m virtualenv "$venv" >/dev/null 2>&1; then return 0; fi
  printf '%s\n' "$output" >&2
  die "$1 cannot make virtual environments; install the missing part (Debian, Ubuntu: sudo apt install python3-venv; \
anywhere: $1 -m pip install --user virtualenv) and run again, or name another interpreter: PYTHON=/path/to/python3" 1
}

# Print the first interpreter that is new enough.
find_python() {
  local candidate found=()
  local candidates=(python3 python3.13 python3.12 python3.11 python)
  [[ -z ${PYTHON-} ]] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      echo "$candidate" && return 0
    fi
    if command -v "$candidate" >/dev/null; then found+=("$candidate is $("$candidate" --version 2>&1 | head -n 1)"); fi
  done
  die "expected Python 3.11 or newer, got ${found[0]-no ${candidates[0]} at all}; install one (Debian, Ubuntu: \
sudo apt install python3 python3-venv) and run again, or name it: PYTHON=/path/to/python3.11" 1
}

# --- packages -------------------------------------------------------------------------------------------------------

install_packages() {
  local extras
  extras=$(IFS=, && echo "$*")
  install_torch
  say "installing speechkit${extras:+ [$extras]} and what it needs, at the versions of constraints.txt"
  pip_install setuptools wheel
  (cd "$repository" && pip_install --no-build-isolation --use-pep517 --editable ".${extras:+[$extras]}")
}

# Let Python keep the compiled form of what training and decoding import, even where it is told to write none: without,
# every command starts two seconds later.
compile_imports() {
  PYTHONDONTWRITEBYTECODE="" "$venv/bin/python" -c 'import speechkit.tasks.training, speechkit.tasks.evaluate' \
    >/dev/null 2>&1 || true # a fault here is better told by the command that meets it
}

# PyTorch first and by itself: it is the big one, and its build depends on the machine.
install_torch() {
  local torch version=none ask='from importlib.metadata import version; print(version("torch"))'
  torch=$(grep -E '^torch==' "$repository/constraints.txt")
  version=$("$venv/bin/python" -c "$ask" 2>/dev/null) || version=none
  if [[ torch==${version%%+*} == "$torch" ]]; then return 0; fi
  if [[ -n ${SPEECHKIT_TORCH_INDEX-} ]]; then
    say "installing $torch from SPEECHKIT_TORCH_INDEX"
    pip_install --extra-index-url "$SPEECHKIT_TORCH_INDEX" "$torch"
  elif [[ $(uname -s) == Linux ]] && ! has_nvidia; then
    say "installing $torch, the build without CUDA, since this machine has no NVIDIA GPU"
    install_cpu_torch "$torch"
  else
    say "installing $torch"
    pip_install "$torch"
  fi
}

# On Linux x86-64 the default index has only the build with CUDA; other indexes that pip may know call the small one
# +cpu.
install_cpu_torch() {
  local errors=$venv/.speechkit/pip-errors
  if (pip_install "$1+cpu") 2>"$errors"; then return 0; fi
  grep -qE "No matching distribution|ResolutionImpossible" "$errors" || { cat "$errors" >&2 && exit 1; }
  say "pip knows no CPU-only build; its default one may bring gigabytes of CUDA libraries, which do no harm. To avoid"
  say "them, press Ctrl-C and set SPEECHKIT_TORCH_INDEX to the index that pytorch.org/get-started shows for pip and CPU"
  pip_install "$1"
}

has_nvidia() { [[ -e /proc/driver/nvidia/version || -e /dev/nvidia0 ]] || nvidia-smi -L >/dev/null 2>&1; }

# Without compiling: most of that is never imported; see compile_imports.
pip_install() {
  local quiet=()
  [[ -t 1 ]] || quiet=(--quiet)
  PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    "$venv/bin/python" -m pip install --no-compile "${quiet[@]}" --constraint "$repository/constraints.txt" "$@" ||
    die "pip could not install $*; see above, then run again (what has arrived is kept)" 1
}
