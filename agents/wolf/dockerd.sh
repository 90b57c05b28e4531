#!/bin/bash
# The inner Docker Engine, from wherever it is started: after a crash, after a restart of the container, with or
# without --privileged.
set -u

# Of an engine that has been killed; its number may be somebody else's now.
rm -f /var/run/docker.pid

# Without --privileged these are read-only, and the engine needs to write there. No harm where they are not.
for path in /proc/sys /sys /sys/fs/cgroup /sys/fs/cgroup/*; do
  mount -o remount,bind,rw "$path" 2>/dev/null
done

# Control groups of version 2: a group that has processes of its own may have no controlled groups below it.
if [[ -e /sys/fs/cgroup/cgroup.controllers ]] && mkdir -p /sys/fs/cgroup/init; then
  while read -r pid; do
    echo "$pid" >/sys/fs/cgroup/init/cgroup.procs
  done </sys/fs/cgroup/cgroup.procs 2>/dev/null
  sed -e 's/ / +/g' -e 's/^/+/' </sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
fi

# A bridge for sandboxes that keeps them apart from each other; they outlive a crash of the engine.
# shellcheck disable=SC2086 # a list of options
exec dockerd --host unix:///var/run/docker.sock --bip "$INNER_ADDRESS" --icc=false --live-restore \
  --default-address-pool base=172.21.0.0/16,size=24 ${DOCKERD_OPTIONS:-}
