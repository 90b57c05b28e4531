# shellcheck shell=bash
#
# take_secret VARIABLE FILE
#
# A secret that came in the environment goes into FILE (mode 0600), and VARIABLE_FILE names it for everything that is
# started from here on; VARIABLE itself is gone. A VARIABLE_FILE that is given as such stays as it is.
take_secret() {
  local variable=$1 file=$2
  local named=${variable}_FILE
  if [[ -n ${!variable:-} ]]; then
    (umask 077 && printf %s "${!variable}" >"$file.new") && mv -f "$file.new" "$file" && printf -v "$named" %s "$file"
  fi
  export "${named?}"
  unset "$variable"
}
