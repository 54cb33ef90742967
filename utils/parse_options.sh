# Options of a script, to be sourced:
#
#   stage=0; force=false; exp=exp/ctc            # every option is a variable that already has its default
#   parse_options stage force exp -- "$@"        # --stage 2 --force --exp exp/big encoder.dim=256
#
# `--some-name VALUE` and `--some-name=VALUE` set the variable some_name. An option whose default is true or false takes
# only these, or nothing for true; one whose default is a number takes only a number; an empty value is for options that
# are empty by default. Arguments of the form key.sub=value are collected in the array `overrides`; anything else is an
# error. All but --stage is kept in `given`, from which utils/stage.sh builds the command that goes on after a failure.
# `--help` prints the comment at the head of `script_file`, and the options, each explained by option_help[some_name].

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "expected bash 4.4 or newer, got $BASH_VERSION; install one (macOS: brew install bash) and run: bash $0" >&2
  exit 1
fi
overrides=()
given=()
declare -A option_help=()

die() {
  printf '%s: error: %s\n' "${script_name:-$0}" "$1" >&2
  exit "${2:-2}"
}

# nearest WORD CHOICE...: ", did you mean X?" if a choice is spelled almost like WORD.
nearest() {
  printf '%s\n' "$@" | awk '
    function least(a, b, c) { return a < b ? (a < c ? a : c) : (b < c ? b : c) }
    function distance(s, t,    i, j, row) {  # Levenshtein
      for (j = 0; j <= length(t); j++) row[0, j] = j
      for (i = 1; i <= length(s); i++) {
        row[i, 0] = i
        for (j = 1; j <= length(t); j++)
          row[i, j] = least(row[i-1, j] + 1, row[i, j-1] + 1, row[i-1, j-1] + (substr(s, i, 1) != substr(t, j, 1)))
      }
      return row[length(s), length(t)]
    }
    NR == 1 { word = $0; best = int(length(word) / 3) + 1; next }
    { d = distance(word, $0); if (d < best || (d == best && choice == "")) { best = d; choice = $0 } }
    END { if (choice != "") printf ", did you mean %s?", choice }'
}

# usage FILE OPTION...: the comment at the head of FILE, then every option with its default.
usage() {
  awk 'NR == 1 && /^#!/ { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$1"
  local name
  shift
  (($#)) && printf '\nOptions, with their defaults:\n'
  for name in "$@"; do printf '  --%-26s %s\n' "${name//_/-} ${!name}" "${option_help[$name]-}"; done
}

parse_options() {
  local names=() name value
  while [[ $1 != -- ]]; do names+=("$1") && shift; done
  shift
  while (($#)); do
    case $1 in
      -h | --help) usage "$script_file" "${names[@]}" && exit 0 ;;
      --*)
        name=${1#--} && name=${name%%=*} && name=${name//-/_}
        [[ " ${names[*]} " == *" $name "* ]] ||
          die "unknown option $1$(nearest "--${name//_/-}" "${names[@]/#/--}" | tr _ -); --help lists all"
        if [[ $1 == *=* ]]; then value=${1#*=}
        elif [[ ${!name} =~ ^(true|false)$ && ! ${2-} =~ ^(true|false)$ ]]; then value=true
        elif (($# > 1)); then value=$2 && shift
        else die "$1: expected a value, got none"; fi
        set_option "$name" "$value"
        [[ $name == stage ]] || given+=("--${name//_/-}" "$value")
        ;;
      *)
        [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_-]+)*= ]] ||
          die "expected --option VALUE or key.sub=value, got '$1'"
        overrides+=("$1") && given+=("$1")
        ;;
    esac
    shift
  done
}

# set_option NAME VALUE: the value must be of the kind of the default.
set_option() {
  local option=--${1//_/-}
  if [[ ${!1} =~ ^(true|false)$ && ! $2 =~ ^(true|false)$ ]]; then die "$option: expected true or false, got '$2'"; fi
  if [[ -n ${!1} && -z $2 ]]; then die "$option: expected a value, got ''"; fi
  if [[ ${!1} =~ ^[0-9]+$ ]]; then
    [[ $2 =~ ^0*([0-9]{1,9})$ ]] || die "$option: expected a number, got '$2'"
    printf -v "$1" %s "${BASH_REMATCH[1]}" # without the zeros that would make bash read 08 as octal
  else
    printf -v "$1" %s "$2"
  fi
}
