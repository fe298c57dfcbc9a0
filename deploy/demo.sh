#!/usr/bin/env bash
# A real rig and a real take through the service, from nothing: makes the environment, fetches
# sample footage (or renders some, if that fails), calibrates, captures, writes files under
# data/demo, and leaves the service running with the take on its page.
#
#   bash deploy/demo.sh [--no-serve] [--rendered] [--frames N] [--port P]
#
# QUADGLASS_DATA_DIR names another place than data/, DEMO_DIR one for the demo's own files.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
bash "$root/deploy/setup.sh" cpu
export QUADGLASS_DATA_DIR="${QUADGLASS_DATA_DIR:-$root/data}"
exec "${VENV:-$root/.venv}/bin/python" -m service.demo "$@"
