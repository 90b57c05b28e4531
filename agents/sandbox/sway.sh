#!/bin/bash
# Sway: in Wolf's display if there is one, else headless. It is configured by sway.config, and by files that the user adds
# in ~/.config/sway/config.d.
set -u

config=$XDG_RUNTIME_DIR/sway.config
sed -e "s/@WIDTH@/${SANDBOX_WIDTH:-1280}/" -e "s/@HEIGHT@/${SANDBOX_HEIGHT:-720}/" \
  -e "s/@BACKGROUND@/${SANDBOX_BACKGROUND:-#204060}/" "${BASH_SOURCE[0]%/*}/sway.config" >"$config"

# Left by a Sway that was killed; Sway does not reuse a number that is taken.
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
