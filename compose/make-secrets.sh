#!/bin/sh
# make-secrets.sh [FOLDER]: creates the secrets that compose.yaml mounts. Existing ones are kept.
#
#     admin.token            for the operator, unrestricted: Authorization: Bearer …
#     wolf.token             for Wolf's agent: its two runners, and the sandboxes that it discovers
#     moonlight.token        for Moonlight Web's agent, if it runs in a separate container
#     moonlight_credentials  between the control plane and Moonlight Web
#     tokens.json            for the control plane: hash and grant of each token
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

# Containers without root read these; the folder's mode protects them from other users of this machine.
chmod 0644 tokens.json moonlight_credentials moonlight.token
