#!/bin/bash
# Starts the parts of a sandbox, keeps them running, and stops them in order. The README lists the variables.
here=${BASH_SOURCE[0]%/*}
# shellcheck source-path=SCRIPTDIR source=../lib/secrets.sh
. "$here/../lib/secrets.sh"

if [[ ${1:-} != parts ]]; then
  # Wolf can pass it only in the environment. Programs on the desktop must not inherit it.
  take_secret USER_API_TOKEN /run/turnabout/session.token
  exec tini -s -- "$0" parts
fi

# shellcheck source-path=SCRIPTDIR source=../lib/parts.sh
. "$here/../lib/parts.sh"

export HOME=${HOME:-/home/sandbox} XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/1000}
export SCREENSHOT_PORT=${SCREENSHOT_PORT:-9876}

server=${TURNABOUT_SERVER:-${HELIX_API_URL:-}}
token=${USER_API_TOKEN_FILE:-/run/turnabout/session.token}
drain_s=${TURNABOUT_DRAIN_S:-3}

agent=(turnabout agent --server "$server" --token-file "$token" --drain "$drain_s")
[[ -z ${TURNABOUT_CA_FILE:-} ]] || agent+=(--ca "$TURNABOUT_CA_FILE")
[[ -z ${TURNABOUT_CARRIER:-} ]] || agent+=(--carrier "$TURNABOUT_CARRIER")
agent+=(--runner "sandbox-${HELIX_SESSION_ID:-}" --target "screenshot=127.0.0.1:$SCREENSHOT_PORT")

if [[ ${TURNABOUT_AGENT:-on} == off ]]; then
  say "agent disabled: the agent of Wolf may register this sandbox"
elif [[ -z $server || -z ${HELIX_SESSION_ID:-} || ! -e $token ]]; then
  say "no agent started: set HELIX_API_URL, HELIX_SESSION_ID and USER_API_TOKEN"
else
  # First, so that an early request gets the error that the server is not up yet.
  keep agent "${agent[@]}"
fi
keep server node /opt/turnabout/sandbox-server.js
keep sway "$here/sway.sh"

until_stopped
# Wolf waits only briefly, and its desktop ends with this process.
stop agent $((drain_s + 1))
stop sway 2
stop server 2
exit 0
