/** What shells load. Each requests the candidates from `turnabout completion complete`, so that they are never out of date. */

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_turnabout() {
  local IFS=$'\\n' current=\${COMP_WORDS[COMP_CWORD]}
  local before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  # "=" is a word of its own: behind it a new one begins.
  if [[ $current == = ]]; then
    before+=("=")
    current=
  fi
  COMPREPLY=($(compgen -W "$(turnabout completion complete "$current" "\${before[@]}" 2>/dev/null)" -- "$current"))
  case \${COMP_WORDS[1]} in curl | open) compopt -o nospace ;; esac # a target is followed by a path
}
complete -o default -F _turnabout turnabout
`,
  zsh: `#compdef turnabout
_turnabout() {
  local -a candidates
  candidates=("\${(@f)$(turnabout completion complete "\${words[CURRENT]}" "\${(@)words[2,CURRENT-1]}" 2>/dev/null)}")
  compadd -a candidates
  _files
}
compdef _turnabout turnabout
`,
  fish: `function __turnabout_candidates
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  turnabout completion complete "$current" $words[2..-1] 2>/dev/null
end
complete -c turnabout -a '(__turnabout_candidates)'
`,
};
