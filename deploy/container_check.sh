#!/usr/bin/env bash
# Builds the image, brings docker-compose.yml up with two workers, and makes them work for real: a
# picture, then a rig calibrated and a take posted while a worker and Redis are killed, with every
# moment accounted for. Takes everything down again.
#
#   bash deploy/container_check.sh [PICTURE.jpg]
#
# Uses the engine that answers (DOCKER_HOST, or the usual socket) with the images it can pull. Where
# none answers, as root, it starts a private one from Debian's docker.io under CONTAINERS
# (/var/tmp/quadglass-containers), and makes the base images itself with debootstrap, so no image
# registry is needed. The folder is kept, so a second run builds only what changed.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
place="${CONTAINERS:-/var/tmp/quadglass-containers}"
picture="${1:-}"
engine_pid=""
export COMPOSE_PROJECT_NAME=quadglass-check DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0

say() { printf 'containers: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

install_missing() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io iptables)
  command -v docker-compose >/dev/null || missing+=(docker-compose)
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  command -v curl >/dev/null || missing+=(curl)
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${missing[*]}"
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}

start_engine() {
  [ "$(id -u)" = 0 ] || die "no Docker engine answers, and only root can start one: start Docker"
  install_missing
  mkdir -p "$place"
  export DOCKER_HOST="unix://$place/socket"
  rm -f "$place/pid"
  # containerd is started by dockerd and ends with it.
  dockerd --data-root "$place/data" --exec-root "$place/exec" --pidfile "$place/pid" \
    --host "$DOCKER_HOST" >"$place/dockerd.log" 2>&1 &
  engine_pid=$!
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && return
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 1
  done
  tail -5 "$place/dockerd.log" >&2
  die "the private engine does not answer; its log is $place/dockerd.log"
}

# The base of the Dockerfile without a registry. What this host needs to reach its package index
# (a certificate bundle, an index address) goes into this local base and nowhere else.
make_base() {
  docker image inspect debian:bookworm-slim >/dev/null 2>&1 && return
  say "making debian:bookworm-slim with debootstrap"
  local tree="$place/rootfs" changes=()
  if [ ! -e "$tree/complete" ]; then
    rm -rf "$tree"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$tree" \
      "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$place/debootstrap.log"
    touch "$tree/complete"
  fi
  if [ -r "${PIP_CERT:-}" ]; then
    cp "$PIP_CERT" "$tree/etc/ssl/certs/ca-certificates.crt"
    changes+=(--change "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt")
  fi
  [ -z "${PIP_INDEX_URL:-}" ] || changes+=(--change "ENV PIP_INDEX_URL=$PIP_INDEX_URL")
  tar -C "$tree" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists --exclude=./complete -c . |
    docker import "${changes[@]}" - debian:bookworm-slim >/dev/null
}

make_redis() {
  docker image inspect redis:7-bookworm >/dev/null 2>&1 && return
  say "making redis:7-bookworm from Debian's redis-server"
  docker build -q -t redis:7-bookworm - >/dev/null <<'DOCKERFILE'
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-server \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && install -d -o redis -g redis /data
WORKDIR /data
USER redis
DOCKERFILE
}

# Asked each time: docker-compose may only be installed below.
compose() {
  if command -v docker-compose >/dev/null; then
    docker-compose -f "$root/docker-compose.yml" "$@"
  else
    docker compose -f "$root/docker-compose.yml" "$@"
  fi
}

take_down() {
  local status=$?
  trap - EXIT
  if [ "$status" != 0 ]; then compose logs --no-color --tail 12 >&2 || true; fi
  compose down --volumes --timeout 15 >/dev/null 2>&1 || true
  if [ -n "$engine_pid" ]; then
    kill "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
  fi
  exit "$status"
}
trap take_down EXIT

docker info >/dev/null 2>&1 || start_engine
if [ -n "$engine_pid" ]; then make_base && make_redis; fi

HTTP_PORT="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export HTTP_PORT
address="http://127.0.0.1:$HTTP_PORT"

say "building"
start=$SECONDS
compose build >"${TMPDIR:-/tmp}/quadglass-build.log" 2>&1 ||
  { tail -20 "${TMPDIR:-/tmp}/quadglass-build.log" >&2; die "the image does not build"; }
say "built in $((SECONDS - start)) s: $(docker image inspect quadglass:0.1.0 --format '{{.Size}}' |
  awk '{printf "%.0f MB", $1 / 1e6}'), runs as $(docker image inspect quadglass:0.1.0 --format '{{.Config.User}}')"

start=$SECONDS
compose up -d --scale worker=2 2>/dev/null
wait_ready() {
  for _ in $(seq 90); do
    if curl -sf "$address/health/ready" >/dev/null; then return; fi
    sleep 1
  done
  curl -s "$address/health/ready" >&2 || true
  die "the service is not ready after 90 s"
}
wait_ready
say "ready $((SECONDS - start)) s after 'up' at $address"

if [ -z "$picture" ]; then
  picture="${TMPDIR:-/tmp}/quadglass-check.jpg"
  compose exec -T service /app/.venv/bin/python -c '
import sys, cv2, numpy as np
noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
sys.stdout.buffer.write(cv2.imencode(".jpg", noise)[1].tobytes())' >"$picture"
fi

post() {
  curl -s --max-time 60 -F "image=@$picture" "$address/v1/images" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
if "people" not in answer:
    sys.exit(f"containers: {sys.argv[1]}: refused: {answer}")
people, network = len(answer["people"]), answer["model"]["name"]
print(f"containers: {sys.argv[1]}: {people} people by {network}", file=sys.stderr)' "$1"
}
post "a picture"

# A rig and a take, posted from a container of their own while a worker and the queue are lost.
log="${TMPDIR:-/tmp}/quadglass-outage.log"
network="$(docker inspect "$(compose ps -q service)" --format '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}')"
docker run --rm --network "$network" --entrypoint python quadglass:0.1.0 \
  -m service.demo.outage http://service:8000 >"$log" 2>&1 &
poster=$!
until_said() {
  for _ in $(seq 300); do
    grep -q "$1" "$log" && return
    kill -0 "$poster" 2>/dev/null || break
    sleep 1
  done
  tail -5 "$log" >&2
  die "the poster never came to '$1'; its log is $log"
}
until_said '^calibrated'
say "a rig was calibrated through the service"
until_said '^moment 5'
docker kill "$(compose ps -q worker | head -1)" >/dev/null
say "a worker was killed"
until_said '^moment 11'
docker kill "$(compose ps -q redis)" >/dev/null
compose up -d --no-recreate --scale worker=2 >/dev/null 2>&1
say "Redis was killed and came back"
wait "$poster" || { tail -5 "$log" >&2; die "something that was accepted is lost"; }
say "nothing is lost: $(grep 'moments:' "$log")"
wait_ready
post "after all that"

compose exec -T service sh -c 'test "$(id -u)" != 0 && ! touch /app/x 2>/dev/null' ||
  die "the service runs as root or can write to its code"
say "all well after $SECONDS s; taking it down"
