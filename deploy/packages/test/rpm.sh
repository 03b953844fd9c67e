# shellcheck shell=bash
# The packages as RPM handles them. The machine is a Debian with RPM's tool, whose database knows none of Debian's packages: dependencies
# can't be met. Sourced by dev/package_test.

package_file() { printf '%s/%s.x86_64.rpm' "$1" "$2"; }

package_install() { inside rpm --install --nodeps --force-debian "$@"; }
package_upgrade() { inside rpm --upgrade --nodeps --force-debian "$@"; }
package_remove() { inside rpm --erase --nodeps "$@"; }

# package_check NAME: the settings are the operator's by then; dependencies are none of this database's.
package_check() { inside rpm --verify --nodeps --noconfig "$1"; }
package_version() { inside rpm --query --queryformat '%{VERSION}' "$1"; }

# package_purge NAME…: RPM knows no purge; docs/install.md tells how to do it by hand.
package_purge() {
  local name
  for name; do inside rm -rf "/etc/$name" "/var/lib/$name"; done
}

# package_settings_after_removal NAME FILE: RPM puts changed settings aside.
package_settings_after_removal() { printf '/etc/%s/%s.rpmsave' "$1" "$2"; }
