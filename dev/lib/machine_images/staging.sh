# shellcheck shell=bash
# The folder that Packer works in: templates, steps and files of an image, as run files have them.
# Whoever sources this sets staging. Below it, build/ is the template with all that it reads, and verify/ the same for the one that tries the
# image out: Packer takes every template in a folder for a part of one.
# shellcheck disable=SC2154

# staging_take FILE NAME: a file becomes NAME in the folder, readable for whoever Packer is.
staging_take() {
  images_find "$1"
  mkdir -p -- "$staging/build/$(dirname "$2")"
  # Links are Bazel's.
  cp -L --reflink=auto -- "$found" "$staging/build/$2" || images_fail "$2 could not be put into $staging/build"
}

# staging_sources FILE…: files of the repository, by their paths from its root; each keeps its path below its first folder. A later one of the same
# name would hide an earlier one.
staging_sources() {
  local file
  for file in "$@"; do
    [[ ! -e $staging/build/${file#*/} ]] || images_fail "$file would hide another file of the same name in the image"
    staging_take "$file" "${file#*/}"
  done
}

# staging_finish: what both templates need in both folders, and what only one of them does in one.
staging_finish() {
  local file
  chmod -R u=rwX,go=rX -- "$staging/build"
  # Packer before 1.7 doesn't know what is in it.
  if ! $packer_has_plugins; then rm -f -- "$staging/build/plugins.pkr.hcl"; fi
  # A second name for the same file: some have hundreds of megabytes.
  cp -Rl -- "$staging/build" "$staging/verify"
  for file in "$staging"/build/*.pkr.hcl; do
    case ${file##*/} in
      verify.pkr.hcl) rm -- "$file" ;;
      plugins.pkr.hcl) ;;
      *) rm -- "$staging/verify/${file##*/}" ;;
    esac
  done
}

# staging_sound: ends unless each template knows each builder of this run. Packer, asked for builders that a template hasn't, makes nothing and is
# content.
staging_sound() {
  local room builder
  for room in build verify; do
    for builder in "${builders[@]}"; do
      grep -qsE "^source \"$builder(volume)?\" " "$staging/$room"/*.pkr.hcl ||
        images_fail "no template of this image has a source \"$builder\" to $room it with (EXECUTOR_IMAGE_BUILDERS)"
    done
  done
}
