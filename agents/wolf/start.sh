#!/bin/bash
# Starts the parts of Wolf's container, keeps them running, and stops them in order. The README lists the variables.
here=${BASH_SOURCE[0]%/*}
# shellcheck source-path=SCRIPTDIR source=../lib/secrets.sh
. "$here/../lib/secrets.sh"

if [[ ${1:-} != parts ]]; then
  mkdir -p /run/turnabout && chmod 0700 /run/turnabout
  take_secret RUNNER_TOKEN /run/turnabout/runner.token
  exec tini -s -- "$0" parts
fi

# shellcheck source-path=SCRIPTDIR source=../lib/parts.sh
. "$here/../lib/parts.sh"

server=${TURNABOUT_SERVER:-${HELIX_API_URL:-}}
token=${RUNNER_TOKEN_FILE:-/run/secrets/runner_token}
wolf=${WOLF_SOCKET_PATH:-/var/run/wolf/wolf.sock}
docker=/var/run/docker.sock
drain_s=${TURNABOUT_DRAIN_S:-20}

agent=(turnabout agent --server "$server" --drain "$drain_s")
[[ -z ${TURNABOUT_CA_FILE:-} ]] || agent+=(--ca "$TURNABOUT_CA_FILE")
# Either, not both: the token would replace a revoked certificate.
if [[ -n ${TURNABOUT_CERT_FILE:-} ]]; then
  agent+=(--cert "$TURNABOUT_CERT_FILE" --key "$TURNABOUT_KEY_FILE")
else
  agent+=(--token-file "$token")
fi
[[ -z ${TURNABOUT_CARRIER:-} ]] || agent+=(--carrier "$TURNABOUT_CARRIER")
agent+=(--runner "wolf-$WOLF_INSTANCE_ID" --target "wolf=unix:$wolf")
[[ ${TURNABOUT_DOCKER_TARGET:-on} == off ]] || agent+=(--target "docker=unix:$docker")
[[ -z $MOONLIGHT_COMMAND ]] ||
  agent+=(--runner "moonlight-$WOLF_INSTANCE_ID" --target "moonlight=127.0.0.1:$MOONLIGHT_PORT")
[[ ${TURNABOUT_DISCOVERY:-on} == off ]] || agent+=(--docker "unix://$docker")

# For the relay alone: the agent would read the variable itself, as that of its option.
listen=${TURNABOUT_LISTEN:-}
export -n TURNABOUT_LISTEN

# A separate process: its address is on the bridge, and the agent must not wait for that.
relay=(turnabout agent --server "$server" --drain "$drain_s")
[[ -z ${TURNABOUT_CA_FILE:-} ]] || relay+=(--ca "$TURNABOUT_CA_FILE")
for address in $listen; do relay+=(--listen "$address"); done

# Sandbox images from the operator, for hosts without a registry.
load_images() {
  local archive
  for archive in /images/*.tar /images/*.tar.gz; do
    [[ ! -e $archive ]] || docker load --quiet --input "$archive" || say "cannot load $archive: see the line above"
  done
}

# Left by a previous run of this container. dockerd.sh removes the engine's own pid file.
rm -rf /var/run/docker/containerd/containerd.pid /var/run/docker/libcontainerd
mkdir -p "${wolf%/*}" "${XDG_RUNTIME_DIR:=/tmp/sockets}"
export XDG_RUNTIME_DIR

if [[ -z $server ]]; then
  say "no control plane: set HELIX_API_URL (or TURNABOUT_SERVER); continuing without an agent"
else
  # First, so that an early request gets the error that the service is not up yet.
  keep agent "${agent[@]}"
fi
keep dockerd "$here/dockerd.sh"
wait_for 30 http-ok "unix:$docker:/_ping"
[[ -z $server || -z $listen ]] || keep relay "${relay[@]}"
load_images
[[ -z $WOLF_COMMAND ]] || keep wolf env --chdir=/wolf bash -c "rm -f '$wolf'; exec $WOLF_COMMAND"
[[ -z $MOONLIGHT_COMMAND ]] || keep moonlight env --chdir=/moonlight-web bash -c "exec $MOONLIGHT_COMMAND"

until_stopped
stop agent $((drain_s + 5))
stop relay 5
stop moonlight 5
stop wolf 10
stop dockerd 10
exit 0
