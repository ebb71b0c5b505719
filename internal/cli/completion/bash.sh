# rkepatch completion for bash (3.2 and later)
_rkepatch() {
  local kind word
  COMPREPLY=()
  while IFS=$'\t' read -r word kind; do
    case $word in
    :files) compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "$2")) ;;
    :nospace) compopt -o nospace 2>/dev/null ;;
    *) COMPREPLY+=("$word") ;;
    esac
  done < <("$1" __complete bash "=$2" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _rkepatch rkepatch
