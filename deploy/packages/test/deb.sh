# shellcheck shell=bash
# The packages as Debian handles them. Each kind of package defines the same functions. Sourced by dev/package_test.

# package_file DIR NAME
package_file() { printf '%s/%s_amd64.deb' "$1" "$2"; }

package_install() { inside apt-get install --yes --no-install-recommends "$@"; }
package_upgrade() { package_install "$@"; }
package_remove() { inside apt-get remove --yes "$@"; }

# package_check NAME: what is installed is as the package says.
package_check() { inside dpkg --verify "$1"; }
package_version() { inside dpkg-query --show --showformat '${Version}' "$1"; }

# package_purge: removes what a removal leaves, with Debian's own means.
package_purge() { inside apt-get purge --yes "$@"; }

# package_settings_changed NAME: whether the package's file of settings is the operator's. After a removal they stay in place.
package_settings_after_removal() { printf '/etc/%s/%s' "$1" "$2"; }
