/** What shells load. Each asks `turnabout completion words` for the candidates, so that they are never out of date. */

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_turnabout() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(turnabout completion words "\${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _turnabout turnabout
`,
  zsh: `#compdef turnabout
_turnabout() {
  local -a candidates
  candidates=("\${(@f)$(turnabout completion words "\${(@)words[2,CURRENT-1]}" 2>/dev/null)}")
  compadd -a candidates
  _files
}
compdef _turnabout turnabout
`,
  fish: `function __turnabout_candidates
  set -l words (commandline -opc)
  turnabout completion words $words[2..-1] 2>/dev/null
end
complete -c turnabout -a '(__turnabout_candidates)'
`,
};
