#compdef rkepatch
# rkepatch completion for zsh
_rkepatch() {
  local word about
  local -a described unfinished
  while IFS=$'\t' read -r word about; do
    case $word in
    :files) [[ $PREFIX = --*=* ]] && compset -P '*='; _files ;;
    :nospace) unfinished=(-S '') ;;
    *) described+=("${word//:/\\:}:$about") ;;
    esac
  done < <("${(Q)words[1]}" __complete zsh "=${(Q)PREFIX}" "${(@Q)words[2,CURRENT-1]}" 2>/dev/null)
  (( $#described )) && _describe -t rkepatch rkepatch described "${unfinished[@]}"
}
# Sourced it registers itself; as a file in $fpath it is the function's body.
if [ "$funcstack[1]" = _rkepatch ]; then
  _rkepatch "$@"
else
  compdef _rkepatch rkepatch
fi
