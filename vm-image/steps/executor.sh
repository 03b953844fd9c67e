# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets files and machine_dir
# The executor, from our Debian package with its hardened unit. It is neither enabled nor started: the first boot's unit does that.
#
#   VERSION  of the executor; "" takes the package as it is

readonly package=$files/executor.deb

step() {
  [[ -f $package ]] || stop "files/executor.deb is missing: the executor's package for $(dpkg --print-architecture)"
  local architecture
  architecture=$(dpkg-deb --field "$package" Architecture)
  [[ $architecture == "$(dpkg --print-architecture)" ]] ||
    stop "files/executor.deb is for $architecture, and this machine is $(dpkg --print-architecture)"
  once executor.deb "$package" install_package
  # Bases that leave out documentation leave out the drop-ins as well, which the first boot puts in place for microVMs.
  if [[ $architecture == amd64 ]]; then
    drop_in microvm
    drop_in microvm-firecracker
  fi
  sayable
}

install_package() {
  apt_lists
  # Also over the same version, of another build.
  apt_get install --reinstall --allow-downgrades "$package" </dev/null >/dev/null
  changed "installed executor $(dpkg-query --show --showformat '${Version}' executor)"
}

# drop_in NAME: that file of the package's documentation.
drop_in() {
  local text
  text=$(dpkg-deb --fsys-tarfile "$package" | tar --extract --to-stdout --wildcards "*usr/share/doc/executor/$1.conf") ||
    stop "files/executor.deb has no $1.conf in its documentation"
  content "$machine_dir/$1.conf" 644 <<<"$text"
}

# sayable: which version the image has, for people and for verify.sh.
sayable() {
  content /etc/machine-image.env 644 <<-ENV
	PLATFORM_TYPE=${PLATFORM_TYPE-}
	VERSION=${VERSION-}
	ENV
}
