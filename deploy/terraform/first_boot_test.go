package terraform_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/stretchr/testify/require"
)

// boot is what the machines read at their first boot, taken from the scripts that do.
type boot struct {
	attribute   string // of the instance, at Google
	marker      string // first line of the user data, at Amazon
	settable    string // pattern of settings' names
	secrets     []string
	required    []string
	googleNames string // pattern of names of secrets
	amazonNames string
	upstreams   string // file with the mirror's list
	disk        string // device name of the mirror's data disk, at Google
	logGroups   []string
	documented  string
}

func readBoot(t *testing.T) boot {
	t.Helper()
	find := func(file, pattern string) string {
		text, err := os.ReadFile("../../" + file)
		require.NoError(t, err)
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
		require.Len(t, found, 1, "%s has not one of %s", file, pattern)
		return found[0][1]
	}
	documented, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	return boot{
		attribute:   find("vm-image/first-boot/gcp.sh", `metadata_get attributes/([a-z-]+)`),
		marker:      find("vm-image/first-boot/aws.sh", `=~ \^'([^']+)'`),
		settable:    find("vm-image/first-boot/settings.sh", `(?m)^readonly settable='(.+)'$`),
		secrets:     strings.Fields(find("vm-image/first-boot/settings.sh", `(?m)^readonly secrets=\((.+)\)$`)),
		required:    strings.Fields(find("vm-image/first-boot/settings.sh", `for name in ([A-Z][A-Z_ ]+); do`)),
		googleNames: find("vm-image/first-boot/gcp.sh", `\$reference =~ (\^projects/\S+\$) \]\]`),
		amazonNames: find("vm-image/first-boot/aws.sh", `\$reference =~ (\^arn:\S+\$) \]\]`),
		upstreams:   find("docker-mirror/first-boot/registry-mirror-instances", `list=\$\{UPSTREAMS:-([^}]+)\}`),
		disk:        find("docker-mirror/first-boot/registry-data-disk", `/dev/disk/by-id/google-([a-z-]+)\}`),
		logGroups: []string{
			find("vm-image/steps/log-shipping.sh", `\$\{LOG_GROUP:-([a-z_]+)\}`),
			find("docker-mirror/install.sh", `\$\{LOG_GROUP:-([a-z_]+)\}`),
		},
		documented: string(documented),
	}
}

// googles are attributes of instances that Google's own agent and cloud-init read.
var googles = []string{"enable-oslogin", "block-project-ssh-keys", "serial-port-enable", "user-data"}

// check: the machines are given what they read, by the names that they read.
func (b boot) check(all tree) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, cloud := range []string{"gcp", "aws"} {
		executors, mirror := all[cloud+"/executors"], all[cloud+"/mirror"]
		if executors == nil || mirror == nil {
			say("%s has no executors or no mirror", cloud)
			continue
		}
		names := keys(executors.locals["settings"])
		for _, name := range names {
			plain, secret := strings.CutSuffix(name, "_SECRET")
			if secret != slices.Contains(b.secrets, plain) || slices.Contains(b.secrets, name) {
				say("%s: the setting %s is a secret, or the name of none", cloud, name)
			}
			if !regexp.MustCompile(b.settable).MatchString(name) {
				say("%s: the machine refuses the setting %s", cloud, name)
			}
			if !strings.Contains(b.documented, "| `"+plain+"` |") {
				say("%s: there is no setting %s", cloud, plain)
			}
		}
		for _, name := range b.required {
			if slices.Contains(b.secrets, name) {
				name += "_SECRET"
			}
			if !slices.Contains(names, name) {
				say("%s: the machine needs the setting %s", cloud, name)
			}
		}
		pattern := map[string]string{"gcp": b.googleNames, "aws": b.amazonNames}[cloud]
		for _, dir := range []string{"/executors", "/credentials", "/examples/complete"} {
			for _, name := range []string{"token_secret", "docker_auth_config_secret"} {
				if !slices.Contains(patterns(all[cloud+dir].variables[name]), pattern) {
					say("%s%s: %s isn't held to the names of secrets that the machine takes, %s", cloud, dir, name, pattern)
				}
			}
		}
		if !slices.Contains(patterns(executors.variables["settings"]), b.settable) {
			say("%s: settings isn't held to the names that the machine takes, %s", cloud, b.settable)
		}
		for _, name := range b.secrets {
			if !slices.Contains(patterns(executors.variables["settings"]), name) {
				say("%s: settings may have %s, which the machine refuses", cloud, name)
			}
		}
		if !slices.Contains(words(mirror.locals["cloud_config"].Expr), b.upstreams) {
			say("%s: the mirror reads its list from %s", cloud, b.upstreams)
		}
	}
	for dir, m := range all {
		for _, at := range m.spots() {
			if at.attr.Name == "metadata" && strings.HasPrefix(dir, "gcp/") && at.top.Type == "resource" || at.top.Type == "locals" && at.attr.Name == "metadata" {
				for _, name := range keys(at.attr) {
					if name != b.attribute && !slices.Contains(googles, name) {
						say("%s: nobody reads the attribute %s", at, name)
					}
				}
				if dir == "gcp/executors" && !slices.Contains(keys(at.attr), b.attribute) {
					say("%s: the machine reads the attribute %s", at, b.attribute)
				}
				if len(keys(at.attr)) > 0 && !slices.Contains(keys(at.attr), "enable-oslogin") {
					say("%s: OS Login is off", at)
				}
			}
			if at.top.Type == "resource" && at.attr.Name == "device_name" && slices.Contains(at.path, "attached_disk") && text(at.attr) != b.disk {
				say("%s: the mirror looks for the disk %s", at, b.disk)
			}
		}
	}
	if m := all["aws/executors"]; m != nil && m.locals["user_data"] != nil {
		if first := strings.Join(words(m.locals["user_data"].Expr), ""); !strings.HasPrefix(first, b.marker+"\n") {
			say("aws: the user data don't begin with the line %q", b.marker)
		}
	}
	if m := all["aws/credentials"]; m != nil {
		for _, group := range b.logGroups {
			if !slices.Contains(words(m.locals["log_groups"].Expr), group) {
				say("aws: machines may not write to their group of logs, %s", group)
			}
		}
	}
	return found
}

// keys are those of all objects within an attribute.
func keys(at *hclsyntax.Attribute) []string {
	var all []string
	if at == nil {
		return nil
	}
	//nolint:errcheck // the visitor finds no problems
	hclsyntax.VisitAll(at.Expr, func(node hclsyntax.Node) hcl.Diagnostics {
		if object, ok := node.(*hclsyntax.ObjectConsExpr); ok {
			for _, item := range object.Items {
				if key, problems := item.KeyExpr.Value(nil); !problems.HasErrors() {
					all = append(all, key.AsString())
				}
			}
		}
		return nil
	})
	return all
}

// patterns are the words in a variable's validations.
func patterns(block *hclsyntax.Block) []string {
	var all []string
	if block == nil {
		return nil
	}
	for _, inner := range block.Body.Blocks {
		if condition := inner.Body.Attributes["condition"]; condition != nil {
			all = append(all, words(condition.Expr)...)
		}
	}
	return all
}
