# shellcheck shell=bash
# What a run that publishes has left where, for whoever reads of its end.
# shellcheck disable=SC2154

declare -A report_of=()
report_places=() report_next=''

# report PLACE SENTENCE: what is there now.
report() {
  [[ -n ${report_of[$1]-} ]] || report_places+=("$1")
  report_of[$1]=$2
}

# report_print: tells all, on stderr.
report_print() {
  local place
  if ((${#report_places[@]} == 0)); then
    images_say 'nothing was touched'
    return
  fi
  printf '%s: what is where now:\n' "$images_program" >&2
  for place in "${report_places[@]}"; do printf '  %-16s %s\n' "$place" "${report_of[$place]}" >&2; done
  printf '%s: %s\n' "$images_program" "$report_next" >&2
}
