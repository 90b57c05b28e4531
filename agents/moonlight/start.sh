#!/bin/bash
# Starts Moonlight Web and its agent, keeps them running, and stops them in order. The README lists the variables.
here=${BASH_SOURCE[0]%/*}
# shellcheck source-path=SCRIPTDIR source=../lib/secrets.sh
. "$here/../lib/secrets.sh"

if [[ ${1:-} != parts ]]; then
  take_secret RUNNER_TOKEN /run/turnabout/runner.token
  exec tini -s -- "$0" parts
fi

# shellcheck source-path=SCRIPTDIR source=../lib/parts.sh
. "$here/../lib/parts.sh"

server=${TURNABOUT_SERVER:-${HELIX_API_URL:-}}
drain_s=${TURNABOUT_DRAIN_S:-20}

agent=(turnabout agent --server "$server" --token-file "${RUNNER_TOKEN_FILE:-/run/secrets/runner_token}")
agent+=(--drain "$drain_s")
[[ -z ${TURNABOUT_CA_FILE:-} ]] || agent+=(--ca "$TURNABOUT_CA_FILE")
[[ -z ${TURNABOUT_CARRIER:-} ]] || agent+=(--carrier "$TURNABOUT_CARRIER")
agent+=(--runner "moonlight-$WOLF_INSTANCE_ID" --target "moonlight=127.0.0.1:$MOONLIGHT_PORT")

if [[ -z $server ]]; then
  say "no control plane: set HELIX_API_URL (or TURNABOUT_SERVER); continuing without an agent"
else
  # First, so that an early request gets the error that the service is not up yet.
  keep agent "${agent[@]}"
fi
keep moonlight env --chdir=/moonlight-web bash -c "exec $MOONLIGHT_COMMAND"

until_stopped
stop agent $((drain_s + 5))
stop moonlight 10
exit 0
