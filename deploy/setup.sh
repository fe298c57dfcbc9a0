#!/usr/bin/env bash
# Makes .venv at the root with quadglass and its extras in it.
#
#   bash deploy/setup.sh            the service on the CPU
#   bash deploy/setup.sh cpu,dev    and everything that deploy/check.sh needs
#   bash deploy/setup.sh gpu        onnxruntime-gpu instead of onnxruntime, and torch
#
# Extras add up over calls. A second call with nothing new to do returns in a moment.
# VENV names another folder, PYTHON another interpreter (3.11 or newer).
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${VENV:-$root/.venv}"
constraints="$root/deploy/constraints.txt"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# What was asked for before is kept; of the exclusive cpu and gpu, the one named last wins.
stamp="$venv/.quadglass-setup"
before="$(sed -n 2p "$stamp" 2>/dev/null || true)"
runtime=cpu train="" dev=""
for extra in ${before//,/ } $(tr ',' ' ' <<<"${1:-}"); do
  case "$extra" in
    cpu | gpu) runtime="$extra" ;;
    train) train=",train" ;;
    dev) dev=",dev" ;;
    *) die "unknown extra '$extra': choose from cpu, gpu, train, dev, joined by commas" ;;
  esac
done
extras="$runtime$train$dev"

# as_root COMMAND...: runs it as root, or fails if that is not allowed without a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"
  else return 1
  fi
}

# Debian's python3 comes without venv and pip until python3-venv is installed.
usable_python() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 /usr/bin/python3; do
    if usable_python "$candidate"; then echo "$candidate"; return; fi
  done
  return 1
}

python="$(find_python)" || {
  say "no Python 3.11 or newer with venv; installing python3-venv"
  command -v apt-get >/dev/null ||
    die "there is no apt-get here: install Python 3.11 or newer with venv, then run this again"
  as_root apt-get update -q >&2 &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends python3 python3-venv >&2 ||
    die "could not install it: as root, run 'apt-get install python3 python3-venv'"
  python="$(find_python)" ||
    die "this system's Python is older than 3.11: put PYTHON=/path/to/python3.11 before the command"
}

# The lock is the folder itself, so two calls at once do not write into one environment.
mkdir -p "$venv"
exec 9<"$venv"
flock 9

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  say "making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv"
fi

inputs="$(cat "$root/pyproject.toml" "$constraints" "${BASH_SOURCE[0]}" | sha256sum | cut -d' ' -f1)"
mark="$(printf '%s %s\n%s' "$inputs" "$root" "$extras")"
if [ "$(cat "$stamp" 2>/dev/null || true)" = "$mark" ]; then
  say "$venv is up to date ($extras)"
  exit 0
fi

rm -f "$stamp"
pip=("$venv/bin/python" -m pip --disable-pip-version-check)
say "installing quadglass[$extras] into $venv (a minute or two)"
# onnxruntime and onnxruntime-gpu write into the same folder, so a change of runtime clears it.
if [ -n "$before" ] && [ "${before%%,*}" != "$runtime" ]; then
  "${pip[@]}" uninstall -qq -y onnxruntime onnxruntime-gpu
fi
# The build backend is pinned too, so it is installed here and not in a place of pip's own.
"${pip[@]}" install -qq -c "$constraints" hatchling editables
"${pip[@]}" install -qq -c "$constraints" --no-build-isolation -e "$root[$extras]"
# Code is not there yet where the Dockerfile installs. Whatever goes wrong here, the first start
# compiles by itself.
if [ -f "$root/kernels/warmup.py" ]; then
  say "compiling the hot path (half a minute)"
  (cd "$root" && "$venv/bin/python" -c '
from capture.warmup import warm_up as in_space
from kernels.warmup import warm_up as in_pictures
in_pictures(), in_space()') ||
    say "that did not work; the first start will try again"
fi
printf '%s\n' "$mark" >"$stamp"
say "done: $venv/bin/quadglass"
