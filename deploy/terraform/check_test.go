package terraform_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/stretchr/testify/require"
)

// checks are all that is looked at in the files. Each returns what it finds wrong.
func checks(t *testing.T) map[string]func(tree) []string {
	return map[string]func(tree) []string{
		"references": checkReferences,
		"variables":  checkVariables,
		"outputs":    checkOutputs,
		"locals":     checkLocals,
		"calls":      checkCalls,
		"versions":   checkVersions,
		"schema":     checkSchema,
		"secrets":    checkSecrets,
		"hard-wired": checkHardWired,
		"open doors": checkOpenDoors,
		"hardening":  checkHardening,
		"first boot": readBoot(t).check,
	}
}

func TestModules(t *testing.T) {
	t.Parallel()
	all, err := load(files(t))
	require.NoError(t, err)
	require.Equal(t, []string{
		"aws/credentials", "aws/examples/complete", "aws/executors", "aws/mirror", "aws/network",
		"gcp/credentials", "gcp/examples/complete", "gcp/executors", "gcp/mirror", "gcp/network",
	}, slices.Sorted(maps.Keys(all)))
	for name, check := range checks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := check(all)
			slices.Sort(found)
			require.Empty(t, found)
		})
	}
}

// The examples' values are for the examples' variables, and enough for them.
func TestExamplesAreComplete(t *testing.T) {
	t.Parallel()
	all, err := load(files(t))
	require.NoError(t, err)
	for _, dir := range []string{"aws/examples/complete", "gcp/examples/complete"} {
		text, err := os.ReadFile(dir + "/terraform.tfvars.example")
		require.NoError(t, err)
		file, problems := hclsyntax.ParseConfig(text, dir, hcl.InitialPos)
		require.False(t, problems.HasErrors(), problems.Error())
		values := file.Body.(*hclsyntax.Body).Attributes
		for name := range values {
			require.Contains(t, all[dir].variables, name, dir)
		}
		for name, block := range all[dir].variables {
			if block.Body.Attributes["default"] == nil {
				require.Contains(t, values, name, dir)
			}
		}
	}
}

// A check that finds nothing in the modules might find nothing at all.
func TestChecksFindFaults(t *testing.T) {
	t.Parallel()
	original := files(t)
	all := checks(t)
	tried := make(map[string]bool)
	for _, planted := range faults {
		tried[planted.check] = true
		t.Run(planted.check+" "+planted.says, func(t *testing.T) {
			t.Parallel()
			texts := maps.Clone(original)
			require.Contains(t, texts[planted.file], planted.old, "%s has changed: plant the fault elsewhere", planted.file)
			texts[planted.file] = strings.ReplaceAll(texts[planted.file], planted.old, planted.new)
			broken, err := load(texts)
			require.NoError(t, err)
			require.Contains(t, strings.Join(all[planted.check](broken), "\n"), planted.says)
		})
	}
	for name := range all {
		require.True(t, tried[name], "no fault shows that the check %s finds one", name)
	}
}

// What isn't Terraform at all is an error of the load.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"can not be parsed":         `resource "a" "b" {`,
		"declared twice":            "variable \"a\" {}\nvariable \"a\" {}",
		"local a is declared twice": "locals {\n  a = 1\n}\nlocals {\n  a = 2\n}",
		"nobody knows the block":    `resources "a" "b" {}`,
	} {
		_, err := load(map[string]string{"gcp/network/broken.tf": broken})
		require.Error(t, err, name)
		if name != "can not be parsed" {
			require.ErrorContains(t, err, name)
		}
	}
}
