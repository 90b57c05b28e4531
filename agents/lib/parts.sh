# shellcheck shell=bash
#
# The parts of a container: each is kept running, restarted after a growing pause, and stopped in a given order.
# To be sourced by a start script below tini:
#
#     keep dockerd dockerd --iptables
#     keep agent turnabout agent …
#     until_told                    # SIGTERM or SIGINT
#     stop agent 35                 # its drain, and a little
#     stop dockerd 15
#
# Nothing ends the container before it is told: neither a part that dies again and again, nor a failed command, nor a
# log that nobody reads any more.

set +eu
# Closed from the start, the next file that is opened would become our output; with a reader that goes away we would
# end by SIGPIPE.
[[ -e /dev/fd/1 ]] || exec 1>/dev/null
[[ -e /dev/fd/2 ]] || exec 2>/dev/null
trap '' PIPE

# Between a part's end and its next start: doubled each time, and 1 s again for one that had run for so long.
MAX_PAUSE_S=${MAX_PAUSE_S:-30}
STABLE_S=${STABLE_S:-60}

declare -A keepers=()
told='' idle=''
trap 'told=1; [[ -z $idle ]] || kill "$idle" 2>/dev/null' TERM INT

say() {
  { printf '%s: %s\n' "${0##*/}" "$*" >&3; } 3>&2 2>/dev/null
}

# keep NAME COMMAND...
keep() {
  set +eu # a failed command is one part's affair, whatever the caller has set meanwhile
  local name=$1
  shift
  keeper "$name" "$@" &
  keepers[$name]=$!
}

# A process of its own for each part. SIGTERM ends the part and its keeper; SIGUSR1 as well, by SIGKILL.
keeper() {
  local name=$1 child='' ending='' pause=1 since status
  shift
  trap '' INT HUP
  trap 'ending=1; [[ -z $child ]] || kill -TERM "$child" 2>/dev/null' TERM
  trap 'ending=1; [[ -z $child ]] || kill -KILL -- "-$child" 2>/dev/null' USR1
  while [[ -z $ending ]]; do
    since=$SECONDS
    # In a session of its own: what it has started ends with it. And with the usual signals.
    env --default-signal=PIPE,INT,HUP setsid -- "$@" &
    child=$!
    # The trap did not know it yet.
    [[ -z $ending ]] || kill -TERM "$child" 2>/dev/null
    wait "$child" 2>/dev/null
    status=$?
    # A trapped signal has ended the waiting, not the part.
    while kill -0 "$child" 2>/dev/null; do
      wait "$child" 2>/dev/null
      status=$?
    done
    [[ -z $ending ]] || return
    ((SECONDS - since < STABLE_S)) || pause=1
    say "$name has ended ($status); again in $pause s"
    setsid -- sleep "$pause" &
    child=$!
    [[ -z $ending ]] || kill -TERM "$child" 2>/dev/null
    wait "$child" 2>/dev/null
    child=
    pause=$((pause * 2 > MAX_PAUSE_S ? MAX_PAUSE_S : pause * 2))
  done
}

until_told() {
  set +eu
  while [[ -z $told ]]; do
    sleep 3600 &
    idle=$!
    # The trap did not know it yet.
    [[ -z $told ]] || kill "$idle" 2>/dev/null
    wait "$idle" 2>/dev/null
  done
  idle=
}

# stop NAME SECONDS: SIGTERM; after so long SIGKILL, for the part and what it has started
stop() {
  local keeper=${keepers[$1]:-} tenths
  [[ -n $keeper ]] || return
  kill -TERM "$keeper" 2>/dev/null
  for ((tenths = $2 * 10; tenths > 0; tenths--)); do
    kill -0 "$keeper" 2>/dev/null || return
    sleep 0.1
  done
  say "$1 did not end within $2 s"
  kill -USR1 "$keeper" 2>/dev/null
  wait "$keeper" 2>/dev/null
}

# wait_for SECONDS COMMAND...: for an order that is nicer, not needed; goes on without it
wait_for() {
  local fifths
  for ((fifths = $1 * 5; fifths > 0; fifths--)); do
    "${@:2}" >/dev/null 2>&1 && return
    [[ -z $told ]] || return
    sleep 0.2
  done
}
