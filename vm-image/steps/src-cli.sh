# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets files
# src, for steps that call it on this machine (the guests' root has its own): files/src where it is staged, else the release that the
# executor fetches and checks.
#
#   SRC_CLI_VERSION  told to people; files/src is taken as it is
#   LEAVE_OUT        with the word src-cli: nothing is installed

step() {
  if left_out src-cli; then return; fi
  if [[ -f $files/src ]]; then
    place "$files/src" /usr/local/bin/src 755
  elif [[ ! -x /usr/local/bin/src ]]; then
    executor install src-cli || stop 'src could not be had: stage it as files/src, or put src-cli into LEAVE_OUT'
    changed 'installed src'
  fi
}
