package executorconfig_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/config/executorconfig"
)

func TestEveryVariableIsReadAndDescribed(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	_, err := executorconfig.Load(func(name string) (string, bool) {
		read[name] = true
		value, ok := minimal[name]
		return value, ok
	}, linux)
	require.NoError(t, err)

	help, markdown := executorconfig.HelpText(), executorconfig.Markdown(2)
	for _, name := range []string{"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "TMPDIR", "HOSTNAME", "HOME"} {
		require.Contains(t, markdown, "`"+name+"`")
		require.Contains(t, help, name)
		delete(read, name)
	}
	for _, variable := range executorconfig.Variables() {
		require.True(t, read[variable.Name], "%s is not read", variable.Name)
		require.Contains(t, markdown, "\n| `"+variable.Name+"` | ")
		require.Contains(t, help, "\n  "+variable.Name+" (")
		require.NotEmpty(t, variable.Description, variable.Name)
		require.NotEmpty(t, variable.Users, variable.Name)
		require.NotEmpty(t, variable.Section, variable.Name)
		for _, name := range append(variable.Aliases, variable.Name) {
			require.Contains(t, markdown, "`"+name+"`")
			delete(read, name)
		}
	}
	require.Empty(t, read, "read, but not in the table")
}

// TestErrorsNeverShowSecrets sets each secret variable to values around a password, good and bad, beside an error elsewhere.
func TestErrorsNeverShowSecrets(t *testing.T) {
	t.Parallel()
	const password = "correct-horse-battery-staple"
	encoded := base64.StdEncoding.EncodeToString([]byte("me:" + password))
	wrap := []string{
		"%s", "%s\n", " %s", "%s with spaces", "%s\x00", `{"auths":{"r.test":{"auth":"%s"}}}`, `{"auths":{"r.test":{"auth":%s}}}`, `{"auths":{"r.test":"%s"}}`,
		`{"auths":"%s"}`, `{"auths":{"r.test":{"auth":"%s"`, `"%s"`, `[%s]`, `{"%s"}`, `{"auths":{"r.test":{"auth":"%s"}}} trailing`,
	}
	secrets := 0
	for _, variable := range executorconfig.Variables() {
		if !variable.Secret {
			continue
		}
		secrets++
		for _, format := range wrap {
			for _, secret := range []string{password, encoded, encoded[:9], "12345678901234567890123"} {
				env := with(map[string]string{variable.Name: fmt.Sprintf(format, secret), "EXECUTOR_DEBUG_ADDR": "nowhere"})
				require.NotContains(t, loadError(t, env, linux), secret, "%s as %s", variable.Name, format)
			}
		}
	}
	require.Equal(t, 2, secrets)
}

func TestPrintingShowsNoSecrets(t *testing.T) {
	t.Parallel()
	cfg := load(t, with(map[string]string{"EXECUTOR_DOCKER_AUTH_CONFIG": `{"auths":{"r.test":{"auth":"dXNlcjpwYXNz"}}}`}), linux)
	encoded, err := json.Marshal(cfg)
	require.NoError(t, err)
	for _, text := range []string{string(encoded), fmt.Sprintf("%v %+v %#v %v", cfg, cfg, cfg, &cfg)} {
		for _, secret := range []string{"hunter2", "user:pass", "dXNlcjpwYXNz", "117 115 101 114"} {
			require.NotContains(t, text, secret)
		}
	}
	require.Equal(t, "user:pass", string(cfg.Docker.Auth.Reveal().Auths["r.test"].Auth))
}

// TestLoadNeverPanics sets any variables to any texts.
func TestLoadNeverPanics(t *testing.T) {
	t.Parallel()
	var names []string
	for _, variable := range executorconfig.Variables() {
		names = append(append(names, variable.Name), variable.Aliases...)
	}
	texts := []string{"", "0", "-1", "1", "true", "1h", "10Gi", "a,b", "a=b", "{}", "[]", "[{}]", "null", "http://host", "firecracker", "\x00", "99999999999999999999"}
	rapid.Check(t, func(t *rapid.T) {
		env := rapid.MapOf(rapid.SampledFrom(names), rapid.OneOf(rapid.SampledFrom(texts), rapid.String())).Draw(t, "env")
		cfg, err := executorconfig.Load(lookup(env), linux)
		if err != nil {
			require.Equal(t, executorconfig.Config{}, cfg)
			return
		}
		require.NotNil(t, cfg.Frontend.URL)
		require.NotEmpty(t, cfg.Queues.Names)
		require.Positive(t, cfg.Jobs.Maximum)
	})
}

func FuzzQueueNames(f *testing.F) {
	f.Add("batches,codeintel")
	f.Add(" a ,, B")
	f.Add("\t")
	f.Fuzz(func(t *testing.T, list string) {
		env := without("EXECUTOR_QUEUE_NAME")
		env["EXECUTOR_QUEUE_NAMES"] = list
		cfg, err := executorconfig.Load(lookup(env), linux)
		if err != nil {
			require.Contains(t, err.Error(), "EXECUTOR_QUEUE_NAMES")
			return
		}
		require.NotEmpty(t, cfg.Queues.Names)
		again := without("EXECUTOR_QUEUE_NAME")
		again["EXECUTOR_QUEUE_NAMES"] = strings.Join(cfg.Queues.Names, ",")
		require.Equal(t, cfg.Queues, load(t, again, linux).Queues)
	})
}

func FuzzJSONVariables(f *testing.F) {
	for _, seed := range []string{"", "[]", "[{}]", "null", `{"a":"b"}`, termJSON, requirementJSON, `[{"emptyDir":{"sizeLimit":"x"}}]`, `{"auths":{"r":{"auth":"e"}}}`} {
		f.Add(seed)
	}
	var variables []config.Variable
	for _, variable := range executorconfig.Variables() {
		if variable.Kind == config.JSON {
			variables = append(variables, variable)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, variable := range variables {
			_, err := executorconfig.Load(lookup(with(map[string]string{variable.Name: text})), linux)
			if err != nil {
				require.Contains(t, err.Error(), variable.Name)
			}
		}
	})
}
