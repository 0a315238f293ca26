# Completion of attn's tools in bash. It asks the tool: what --help lists is what can be typed.

_attn() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local line names value='' options=''
  while IFS= read -r line; do
    # as in "  -m,--model FILE     A model.bin, ..."
    [[ $line =~ ^\ \ (-[^[:blank:]]+)(\ ([^[:blank:]]+))? ]] || continue
    names=${BASH_REMATCH[1]//,/ }
    options+=" $names"
    [[ " $names " != *" $before "* ]] || value=${BASH_REMATCH[3]}
  done < <("$1" --help 2>/dev/null)

  local what=(-f) # a model, or what the option before is about
  case $value in
    *FILE* | PATH | SOURCE | OLD) ;;
    DIR*) what=(-d) ;;
    '') [[ $current != -* ]] || what=(-W "$options") ;;
    *) what=(-W '') ;; # numbers and words
  esac
  mapfile -t COMPREPLY < <(compgen "${what[@]}" -- "$current")
}

complete -o filenames -F _attn attn-run attn-tune attn-convert attn-bench
