// Package systemd holds the services' units, the examples of their settings, and a drop-in for microVMs; its tests hold them to the
// documented configuration.
package systemd

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// rows returns the documented variables by name: the lines of the tables in docs/configuration.md.
func rows(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, found := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|.*$").FindAllStringSubmatch(read(t, "../../docs/configuration.md"), -1) {
		all[found[1]] = found[0]
	}
	require.Greater(t, len(all), 50)
	return all
}

// set are the NAME=value lines of an example, also those that are commented out.
var set = regexp.MustCompile(`(?m)^(#?)([A-Z_]+)=(.*)$`)

func TestExamplesNameWhatIsDocumented(t *testing.T) {
	t.Parallel()
	documented := rows(t)
	for file, prefix := range map[string]string{"executor.env": "EXECUTOR_", "frontend.env": "FRONTEND_"} {
		named := make(map[string]bool)
		for _, line := range set.FindAllStringSubmatch(read(t, file), -1) {
			comment, name, value := line[1], line[2], line[3]
			require.Contains(t, documented, name, "%s: %s", file, name)
			require.True(t, strings.HasPrefix(name, prefix), "%s: %s is another program's", file, name)
			if strings.Contains(documented[name], "A secret") {
				require.Equal(t, "#", comment, "%s: a secret comes from the operator: %s", file, name)
				require.Empty(t, value, "%s: an example of a secret would be used: %s", file, name)
			}
			named[name] = true
		}
		for name, row := range documented {
			if strings.HasPrefix(name, prefix) && strings.Contains(row, "**required**") {
				require.True(t, named[name], "%s: %s is required", file, name)
			}
		}
	}
}

// Who removes the "#" of an optional setting changes nothing yet, unless it is one of those that need a value of the operator's.
func TestOptionalExamplesAreTheDefaults(t *testing.T) {
	t.Parallel()
	documented := rows(t)
	operators := []string{"EXECUTOR_DRAIN_TIMEOUT", "EXECUTOR_QUEUE_NAME", "FRONTEND_REPOS_DIR", "FRONTEND_REPOSITORIES"}
	for _, file := range []string{"executor.env", "frontend.env"} {
		for _, line := range set.FindAllStringSubmatch(read(t, file), -1) {
			comment, name, value := line[1], line[2], line[3]
			if comment == "" || strings.Contains(documented[name], "**required**") || slices.Contains(operators, name) {
				continue
			}
			require.Contains(t, documented[name], "| `"+value+"` |", "%s: %s", file, name)
		}
	}
}

// values are the words of all lines of a unit that set the option.
func values(unit, option string) []string {
	var all []string
	for _, found := range regexp.MustCompile(`(?m)^`+option+`=(.*)$`).FindAllStringSubmatch(unit, -1) {
		all = append(all, strings.Fields(found[1])...)
	}
	return all
}

func TestUnitsHoldNoSecretAndNameWhatIsDocumented(t *testing.T) {
	t.Parallel()
	documented := rows(t)
	config := read(t, "../../docs/configuration.md")
	units, err := filepath.Glob("*.service")
	require.NoError(t, err)
	require.Len(t, units, 2)
	for _, unit := range units {
		text := read(t, unit)
		for _, pair := range values(text, "Environment") {
			name, _, _ := strings.Cut(pair, "=")
			require.Contains(t, config, "`"+name+"`", unit)
			require.NotContains(t, documented[name], "A secret", unit)
		}
		name := strings.TrimSuffix(unit, ".service")
		for _, line := range []string{
			"Type=notify", "NotifyAccess=main", "KillMode=mixed", "User=" + name, "StateDirectoryMode=0700", "NoNewPrivileges=yes",
			"EnvironmentFile=/etc/" + name + "/", "ExecStart=/usr/bin/" + name + " ",
		} {
			require.Contains(t, text, "\n"+line, unit)
		}
		require.FileExists(t, "sysusers.d/"+name+".conf")
	}
	// TimeoutAbortSec is that of the stop unless it is set: a process that survives SIGABRT would be waited for without limit.
	require.Contains(t, read(t, "executor.service"), "\nTimeoutStopSec=infinity\n")
	require.Contains(t, read(t, "executor.service"), "\nTimeoutAbortSec=30s\n")
}

// What is open for microVMs is this and no more; dev/package_test runs the service so.
func TestMicroVMsOpenOnlyWhatTheyNeed(t *testing.T) {
	t.Parallel()
	for file, wanted := range map[string]map[string][]string{
		"microvm.conf": {
			"User":                  {"root"},
			"Group":                 {"root"},
			"CapabilityBoundingSet": {"CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID", "CAP_KILL"},
			"Environment":           {"EXECUTOR_VM_DIR=/var/lib/executor/vm"},
			"StateDirectory":        {"executor/vm"},
			"PrivateDevices":        {"no"},
			"DevicePolicy":          {"closed"},
			"DeviceAllow":           {"/dev/kvm", "rw", "/dev/net/tun", "rw"},
			"ReadWritePaths":        {"/proc/sys/net"},
			"SystemCallFilter":      {"seccomp"},
		},
		"microvm-firecracker.conf": {
			"CapabilityBoundingSet": {"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"},
			"RestrictNamespaces":    {"mnt", "pid"},
			"SystemCallFilter":      {"@mount"},
			"DeviceAllow":           {"/dev/kvm", "rwm", "/dev/net/tun", "rwm"},
			"ProtectControlGroups":  {"no"},
		},
	} {
		dropIn := read(t, file)
		require.Equal(t, []string{"[Service]"}, regexp.MustCompile(`(?m)^\[.*$`).FindAllString(dropIn, -1), file)
		for _, found := range regexp.MustCompile(`(?m)^(\w+)=`).FindAllStringSubmatch(dropIn, -1) {
			require.Contains(t, wanted, found[1], file)
		}
		for option, words := range wanted {
			require.Equal(t, words, values(dropIn, option), "%s: %s", file, option)
		}
		// The file of settings wins over the unit and its drop-ins: what it sets has no place in one.
		for _, line := range set.FindAllStringSubmatch(read(t, "executor.env"), -1) {
			require.NotContains(t, dropIn, "\nEnvironment="+line[2]+"=", file)
		}
	}
	require.Contains(t, rows(t), "EXECUTOR_VM_DIR")
}
