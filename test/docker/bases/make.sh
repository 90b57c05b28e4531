#!/bin/bash
# Root file systems for base images, made of Debian's packages and of what this machine runs tests with.
#
#     make.sh CACHE NODE NPM      makes CACHE/{node,wolf,sandbox}.tar unless they are there
#
# CACHE is keyed by what goes into it (bases.ts). The tars appear at once or not at all.
set -euo pipefail

cache=$1 node=$2 npm=$3
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [[ -e $cache/complete ]]; then
  touch "$cache" # used just now
  exit 0
fi

work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Neither daemons nor documentation.
prepare() {
  printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
  printf 'path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n' \
    >"$1/etc/dpkg/dpkg.cfg.d/slim"
  cp /etc/resolv.conf "$1/etc/resolv.conf"
}

add() {
  local root=$1
  shift
  chroot "$root" apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; exit 1; }
}

finish() {
  local root=$1 name=$2
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/man \
    "$root"/usr/share/locale "$root"/var/log/* "$root"/usr/sbin/policy-rc.d "$root"/etc/resolv.conf "${root:?}"/dev/*
  tar -C "$root" --sort=name -cf "$work/$name.tar" .
}

debootstrap --variant=minbase --include=ca-certificates,libatomic1,tini bookworm "$work/debian" >"$work/log" 2>&1 ||
  { tail -20 "$work/log" >&2; exit 1; }
prepare "$work/debian"
cp -a "$work/debian" "$work/wolf"
cp -a "$work/debian" "$work/sandbox"

add "$work/wolf" docker.io iptables iproute2 procps
finish "$work/wolf" wolf
rm -rf "$work/wolf"

add "$work/sandbox" sway swaybg grim wl-clipboard wtype foot fonts-dejavu-core
finish "$work/sandbox" sandbox
rm -rf "$work/sandbox"

# Node as its own image has it, and npm with it.
install -D "$node" "$work/debian/usr/local/bin/node"
mkdir -p "$work/debian/usr/local/lib/node_modules"
cp -a "$npm" "$work/debian/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/debian/usr/local/bin/npm"
chroot "$work/debian" groupadd --gid 1000 node
chroot "$work/debian" useradd --uid 1000 --gid node --shell /bin/bash --create-home node
finish "$work/debian" node

mv "$work"/*.tar "$cache"
touch "$cache/complete"
