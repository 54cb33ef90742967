#!/usr/bin/env bash
# Install the build of k2 that fits the PyTorch of an environment, or say what to do when there is none. Nothing in
# speechkit needs k2: it is another kernel to compare with (objectives.ctc.kernel=k2).
#
#   tools/install_k2.sh                                into the environment of ./run.sh, or else that of `python3`
#   tools/install_k2.sh --python /path/to/bin/python   into another one
#   tools/install_k2.sh --dry-run                      say which build it would be
#
# Builds are named after what they were made for, as in k2-1.24.4.dev20250807+cuda12.8.torch2.8.0-cp311-...: only one for
# this very PyTorch, CUDA and Python can be imported.

set -euo pipefail
script_file=${BASH_SOURCE[0]} script_name=tools/install_k2.sh
repository=$(cd "$(dirname "$script_file")/.." && pwd)
source "$repository/utils/parse_options.sh"

python="" page="" dry_run=false
option_help[python]="the environment's interpreter"
option_help[page]="web page or file that links the wheels (default: the one of k2)"
option_help[dry_run]="install nothing"
parse_options python page dry_run -- "$@"
((${#overrides[@]} == 0)) || die "expected options, got '${overrides[0]}'; --help lists them"

if [[ -z $python ]]; then
  python=${SPEECHKIT_VENV:-$repository/.venv}/bin/python
  [[ -x $python ]] || python=python3
fi

# PyTorch's version in full and without its build, its CUDA version or "cpu", and the tags of wheels for this Python and
# machine.
describe='
import platform, sys, torch
version, cuda = torch.__version__, torch.version.cuda
machine = platform.machine().lower().replace("amd64", "x86_64")
system = {"Linux": "linux_[^-]*" + machine, "Darwin": "macosx_[^-]*" + machine, "Windows": "win_amd64"}[platform.system()]
print(version, version.partition("+")[0], "cuda" + cuda if cuda else "cpu", "cp%d%d" % sys.version_info[:2], system)
'
facts=$("$python" -c "$describe" 2>/dev/null) ||
  die "$python: expected an environment with PyTorch, got none; run ./run.sh setup, or give --python" 1
read -r full torch device tag system <<<"$facts"
what="PyTorch $torch ($device), Python ${tag:2:1}.${tag:3} on ${system%%_*} ${system##*\*}"

if version=$("$python" -c 'import k2; from importlib.metadata import version; print(version("k2"))' 2>/dev/null); then
  echo "k2 $version is there and can be imported, by $what"
  exit 0
fi

[[ -n $page ]] || page=https://k2-fsa.github.io/k2/${device%%[0-9]*}.html
if [[ -f $page ]]; then
  links=$(<"$page")
else
  fetch='import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())'
  links=$("$python" -c "$fetch" "$page" 2>/dev/null) ||
    die "$page: cannot read the list of wheels; look at the connection, or save the page elsewhere and give --page FILE" 1
fi
wheels=$(grep -oE 'k2-[0-9][^"<>/ ]*\.whl' <<<"$links" | sed 's/%2[Bb]/+/g' | sort -uV || true)
[[ -n $wheels ]] || die "$page: expected links to wheels of k2, got none; look at the page, and give another by --page" 1

# for_torch DEVICE TORCH: the wheels for this Python and machine, by patterns for the rest.
for_torch() { grep -E "^k2-[^-+]*\+$1\.torch$2-$tag-[^-]*-[^-]*$system[^-]*\.whl$" <<<"$wheels" || true; }
# one_line: what comes in as lines, once each, with commas.
one_line() { sort -uV | paste -sd, - | sed 's/,/, /g'; }

wheel=$(for_torch "$device" "${torch//./\\.}" | tail -n 1) # sorted by version, which ends in a date
if [[ -z $wheel ]]; then
  echo "$script_name: error: k2 has no build for $what" >&2
  versions=$(for_torch "$device" '[0-9.]+' | sed -E 's/.*\.torch([0-9.]+)-.*/\1/' | one_line)
  devices=$(for_torch '[a-z0-9.]+' "${torch//./\\.}" | sed -E 's/.*\+([a-z0-9.]+)\.torch.*/\1/' | one_line)
  if [[ -n $versions ]]; then
    echo "  - with this CUDA or CPU, Python and machine there are builds for PyTorch $versions:" >&2
    echo "    install one of these that speechkit can use (setup.py says which), and run this again" >&2
  else
    echo "  - there is none for this Python and machine with any PyTorch for $device" >&2
  fi
  [[ -z $devices ]] || echo "  - builds for PyTorch $torch are for $devices: install that one of its builds, and run this again" >&2
  echo "  - or compile it for this PyTorch, as its documentation says" >&2
  echo "  - or do without: nothing in speechkit needs k2" >&2
  exit 1
fi

version=${wheel#k2-} version=${version%%-*}
echo "k2 $version is the newest build for $what"
[[ $dry_run == false ]] || exit 0
# PyTorch is named as it is, so that pip refuses rather than puts another one in its place.
"$python" -m pip install --find-links "$page" "k2==$version" "torch==$full" ||
  die "pip could not install k2 $version; see above. Nothing in speechkit needs it" 1
"$python" -c 'import k2' || die "k2 $version was installed, but cannot be imported; see above, and remove it: pip uninstall k2" 1
