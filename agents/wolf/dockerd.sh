#!/bin/bash
# The inner Docker Engine. It starts after a crash, after a restart of the container, and with or without --privileged.
set -u

# Left by an engine that was killed; its process id may belong to another process now.
rm -f /var/run/docker.pid

# Without --privileged these are read-only, and the engine has to write there. Harmless if they are writable.
for path in /proc/sys /sys /sys/fs/cgroup /sys/fs/cgroup/*; do
  mount -o remount,bind,rw "$path" 2>/dev/null
done

# Cgroup v2: a group with processes of its own may not have controlled child groups.
if [[ -e /sys/fs/cgroup/cgroup.controllers ]] && mkdir -p /sys/fs/cgroup/init; then
  while read -r pid; do
    echo "$pid" >/sys/fs/cgroup/init/cgroup.procs
  done </sys/fs/cgroup/cgroup.procs 2>/dev/null
  sed -e 's/ / +/g' -e 's/^/+/' </sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
fi

# A bridge that isolates sandboxes from each other. They survive a crash of the engine.
# shellcheck disable=SC2086 # a list of options
exec dockerd --host unix:///var/run/docker.sock --bip "$INNER_ADDRESS" --icc=false --live-restore \
  --default-address-pool base=172.21.0.0/16,size=24 ${DOCKERD_OPTIONS:-}
