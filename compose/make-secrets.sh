#!/bin/sh
# make-secrets.sh [FOLDER]: the secrets that compose.yaml mounts, each made once; what is there stays as it is.
#
#     admin.token            for you, everything: Authorization: Bearer …
#     wolf.token             for Wolf's agent: its two runners, and the sandboxes that it announces
#     moonlight.token        for Moonlight Web's agent, where that has a container of its own
#     moonlight_credentials  between the control plane and Moonlight Web
#     tokens.json            for the control plane: hashes, and what each token is for
set -eu
cd "$(dirname "$0")"
folder=${1:-secrets}
instance=${WOLF_INSTANCE_ID:-local}
umask 077
mkdir -p "$folder"
cd "$folder"

for name in admin.token wolf.token moonlight.token moonlight_credentials; do
  [ -s "$name" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' >"$name"
done

entry() {
  printf '{ "id": "%s", "kind": "%s", "sha256": "%s", "runners": [%s] }' \
    "$1" "$2" "$(sha256sum <"$3" | cut -d' ' -f1)" "$4"
}

if [ ! -s tokens.json ]; then
  {
    printf '{ "tokens": [\n  '
    entry operator admin admin.token ''
    printf ',\n  '
    entry "wolf-$instance" runner wolf.token "\"wolf-$instance\", \"moonlight-$instance\", \"sandbox-*\""
    printf ',\n  '
    entry "moonlight-$instance" runner moonlight.token "\"moonlight-$instance\""
    printf '\n] }\n'
  } >tokens.json
fi

# Containers that are not root's read these; the folder keeps everybody else on this machine out.
chmod 0644 tokens.json moonlight_credentials moonlight.token
