# shellcheck shell=bash
#
# take_secret VARIABLE FILE
#
# Moves a secret from the environment into FILE (mode 0600). VARIABLE_FILE names the file for later commands, and VARIABLE
# is unset. A VARIABLE_FILE that is already set stays unchanged.
take_secret() {
  local variable=$1 file=$2
  local named=${variable}_FILE
  if [[ -n ${!variable:-} ]]; then
    (umask 077 && printf %s "${!variable}" >"$file.new") && mv -f "$file.new" "$file" && printf -v "$named" %s "$file"
  fi
  export "${named?}"
  unset "$variable"
}
