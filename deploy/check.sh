#!/usr/bin/env bash
# Everything a change must pass: format, lint, types, tests. Continuous integration runs this.
#
#   bash deploy/check.sh [PYTEST ARGUMENTS]
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

# Tests that need Redis, a browser or a PDF reader skip where these are missing, so failing to install is no error.
missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v pdftoppm >/dev/null || missing+=(poppler-utils)
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
if [ "${#missing[@]}" -gt 0 ] && command -v apt-get >/dev/null; then
  sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo -n)
  if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}"; } >/dev/null; then
    echo "check: could not install ${missing[*]}; the tests that need them will skip" >&2
  fi
fi

bash deploy/setup.sh cpu,dev
bin="${VENV:-$root/.venv}/bin"

step() {
  local start=$SECONDS
  echo "check: $*" >&2
  "$bin/$@"
  echo "check: took $((SECONDS - start)) s" >&2
}
step ruff format --check .
step ruff check .
step mypy
# Files over two processes: many tests wait for a server, a browser or a worker.
step pytest --numprocesses 2 --dist loadfile "$@"
