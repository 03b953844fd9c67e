#!/bin/sh
# rpmbuild as pkg_rpm calls it: without a PATH, in a directory of its own. Makes the same bytes whatever the machine and the version of
# rpmbuild, in the format that all distributions read.
set -eu
export PATH=/usr/local/bin:/usr/bin:/bin

command -v rpmbuild >/dev/null || {
  echo "rpmbuild is missing: install it (Debian and Ubuntu: package rpm; Fedora and RHEL: package rpm-build)" >&2
  exit 1
}

# pkg_rpm names its files in macros, by paths that since RPM 4.20 begin elsewhere; and the architecture in the preamble alone, where
# rpmbuild refuses any but the machine's.
target=noarch
for word; do
  shift
  case "$word" in
  'build_rpm_options '*)
    preamble=${word#build_rpm_options }
    target=$(sed -n 's/^BuildArch: //p' "$preamble")
    sed -i '/^BuildArch: /d' "$preamble"
    ;;
  'build_rpm_install '*)
    sed -i '1i cd %{_topdir}/BUILD' "${word#build_rpm_install }"
    ;;
  'build_rpm_files '*)
    word="build_rpm_files $PWD/BUILD/${word#build_rpm_files }"
    ;;
  esac
  set -- "$@" "$word"
done

# The programs are finished: nothing strips, compresses or looks into them.
exec rpmbuild --target "$target-linux" \
  --define "_dbpath $PWD/database" \
  --define '_buildhost reproducible' \
  --define '_rpmformat 4' \
  --define '_binary_payload w9.gzdio' \
  --define '_build_id_links none' \
  --define 'debug_package %{nil}' \
  --define '__os_install_post %{nil}' \
  --define '_docdir /usr/share/doc' \
  --define 'clamp_mtime_to_source_date_epoch 1' \
  --define 'use_source_date_epoch_as_buildtime 1' \
  --define 'build_mtime_policy clamp_to_source_date_epoch' \
  "$@"
