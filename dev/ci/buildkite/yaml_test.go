package buildkite

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestYAML(t *testing.T) {
	t.Parallel()
	step := sound("publish", "build")
	step.SoftFail = []SoftFail{{ExitStatus: 222}}
	step.ConcurrencyGroup, step.Concurrency = "g", 1
	text, err := Pipeline{Steps: []Step{step}}.YAML("Made by a test.")
	require.NoError(t, err)
	require.Equal(t, `# Made by a test.
steps:
  - key: publish
    label: A step
    depends_on:
      - build
    env:
      VERSION: 1.2.3
    commands:
      - "true"
    soft_fail:
      - exit_status: 222
    timeout_in_minutes: 60
    retry:
      automatic:
        - exit_status: -1
          limit: 1
    concurrency_group: g
    concurrency: 1
`, string(text))
}

// What looks like a number or a yes stays text.
func TestYAMLKeepsTexts(t *testing.T) {
	t.Parallel()
	env := map[string]string{"VERSION": "5.10", "EXECUTOR_IS_TAGGED_RELEASE": "true"}
	step := sound("a")
	step.Env = env
	text, err := Pipeline{Steps: []Step{step}}.YAML("")
	require.NoError(t, err)
	var read struct {
		Steps []struct{ Env map[string]any }
	}
	require.NoError(t, yaml.Unmarshal(text, &read))
	for name, value := range env {
		require.Equal(t, value, read.Steps[0].Env[name])
	}
}
