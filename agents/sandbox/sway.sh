#!/bin/bash
# Sway: inside Wolf's display where there is one, headless elsewhere. Its configuration is sway.config, and below
# ~/.config/sway/config.d what the image's user adds.
set -u

config=$XDG_RUNTIME_DIR/sway.config
sed -e "s/@WIDTH@/${SANDBOX_WIDTH:-1280}/" -e "s/@HEIGHT@/${SANDBOX_HEIGHT:-720}/" \
  -e "s/@BACKGROUND@/${SANDBOX_BACKGROUND:-#204060}/" "${BASH_SOURCE[0]%/*}/sway.config" >"$config"

# Of a Sway that has been killed: a number that is taken is not used again.
rm -f "$XDG_RUNTIME_DIR"/sway-ipc.*.sock

if [[ -n ${WAYLAND_DISPLAY:-} && -S $XDG_RUNTIME_DIR/$WAYLAND_DISPLAY ]]; then
  export WLR_BACKENDS=wayland
else
  unset WAYLAND_DISPLAY
  export WLR_BACKENDS=headless WLR_LIBINPUT_NO_DEVICES=1 WLR_RENDERER=${WLR_RENDERER:-pixman}
fi
unset DISPLAY
export SHELL=/bin/bash
exec sway --config "$config"
