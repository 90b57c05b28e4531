# shellcheck shell=bash
#
# The parts of a container: each is kept running, restarted after a growing pause, and stopped in a given order.
# Sourced by a start script that runs under tini:
#
#     keep dockerd dockerd --iptables
#     keep agent turnabout agent …
#     until_stopped                 # SIGTERM or SIGINT
#     stop agent 35                 # its drain time and a margin
#     stop dockerd 15
#
# Only SIGTERM or SIGINT ends the container: not a part that keeps crashing, not a failed command, not a log without a
# reader.

set +eu
# If stdout or stderr were closed from the start, the next file that is opened would become our output; a reader that goes
# away would end us by SIGPIPE.
[[ -e /dev/fd/1 ]] || exec 1>/dev/null
[[ -e /dev/fd/2 ]] || exec 2>/dev/null
trap '' PIPE

# Pause before a restart: doubled each time up to MAX_PAUSE_S, and 1 s again after a run of STABLE_S.
MAX_PAUSE_S=${MAX_PAUSE_S:-30}
STABLE_S=${STABLE_S:-60}

declare -A keepers=()
stopped='' idle=''
trap 'stopped=1; [[ -z $idle ]] || kill "$idle" 2>/dev/null' TERM INT

say() {
  { printf '%s: %s\n' "${0##*/}" "$*" >&3; } 3>&2 2>/dev/null
}

# keep NAME COMMAND...
keep() {
  set +eu # a failed command must not end the script, whatever the caller has set meanwhile
  local name=$1
  shift
  keeper "$name" "$@" &
  keepers[$name]=$!
}

# One process per part. SIGTERM ends the part and its keeper; SIGUSR1 does so by SIGKILL.
keeper() {
  local name=$1 child='' ending='' pause=1 since status
  shift
  trap '' INT HUP
  trap 'ending=1; [[ -z $child ]] || kill -TERM "$child" 2>/dev/null' TERM
  trap 'ending=1; [[ -z $child ]] || kill -KILL -- "-$child" 2>/dev/null' USR1
  while [[ -z $ending ]]; do
    since=$SECONDS
    # In its own process group, so that its children can be ended with it, and with default signal handling.
    env --default-signal=PIPE,INT,HUP setsid -- "$@" &
    child=$!
    # A signal before this line found no process to end.
    [[ -z $ending ]] || kill -TERM "$child" 2>/dev/null
    wait "$child" 2>/dev/null
    status=$?
    # A trapped signal ends `wait`, not the part.
    while kill -0 "$child" 2>/dev/null; do
      wait "$child" 2>/dev/null
      status=$?
    done
    [[ -z $ending ]] || return
    ((SECONDS - since < STABLE_S)) || pause=1
    say "$name exited with status $status; restarting in $pause s"
    setsid -- sleep "$pause" &
    child=$!
    [[ -z $ending ]] || kill -TERM "$child" 2>/dev/null
    wait "$child" 2>/dev/null
    child=
    pause=$((pause * 2 > MAX_PAUSE_S ? MAX_PAUSE_S : pause * 2))
  done
}

until_stopped() {
  set +eu
  while [[ -z $stopped ]]; do
    sleep 3600 &
    idle=$!
    # A signal before this line found no process to end.
    [[ -z $stopped ]] || kill "$idle" 2>/dev/null
    wait "$idle" 2>/dev/null
  done
  idle=
}

# stop NAME SECONDS: SIGTERM, then SIGKILL for the part and its children
stop() {
  local keeper=${keepers[$1]:-} tenths
  [[ -n $keeper ]] || return
  kill -TERM "$keeper" 2>/dev/null
  for ((tenths = $2 * 10; tenths > 0; tenths--)); do
    kill -0 "$keeper" 2>/dev/null || return
    sleep 0.1
  done
  say "$1 did not exit within $2 s: killed"
  kill -USR1 "$keeper" 2>/dev/null
  wait "$keeper" 2>/dev/null
}

# wait_for SECONDS COMMAND...: waits until the command succeeds, or continues without it
wait_for() {
  local fifths
  for ((fifths = $1 * 5; fifths > 0; fifths--)); do
    "${@:2}" >/dev/null 2>&1 && return
    [[ -z $stopped ]] || return
    sleep 0.2
  done
}
