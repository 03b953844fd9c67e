package docker

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime/host"
)

func TestNewEnvironment(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70<<10)
	for name, test := range map[string]struct {
		pairs        []string
		file, client string
	}{
		"nothing":              {},
		"plain":                {pairs: []string{"A=b c", "B=", "C==#"}, file: "A=b c\nB=\nC==#\n"},
		"names that steer":     {pairs: []string{"PATH=/bin", "DOCKER_HOST=x", "https_proxy=y", "LD_PRELOAD=z"}, file: "PATH=/bin\nDOCKER_HOST=x\nhttps_proxy=y\nLD_PRELOAD=z\n"},
		"lines":                {pairs: []string{"A=b\nc", "B=x"}, file: "B=x\n", client: "A=b\nc"},
		"carriage return":      {pairs: []string{"A=b\r", "B=\rx"}, file: "B=\rx\n", client: "A=b\r"},
		"long":                 {pairs: []string{"A=" + long}, client: "A=" + long},
		"comment":              {pairs: []string{"#A=b"}, client: "#A=b"},
		"byte order mark":      {pairs: []string{"\ufeffA=b"}, client: "\ufeffA=b"},
		"blank in the name":    {pairs: []string{"A B=c", " A=c"}, client: "A B=c| A=c"},
		"not UTF-8":            {pairs: []string{"A=\xff"}, client: "A=\xff"},
		"the last value wins":  {pairs: []string{"A=b\nc", "A=d"}, file: "A=d\n"},
		"not set on this side": {pairs: []string{"HOME", "A=b"}, file: "A=b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, err := newEnvironment(test.pairs)
			require.NoError(t, err)
			require.Equal(t, test.file, string(env.file))
			require.Equal(t, test.client, strings.Join(env.client, "|"))
		})
	}
}

func TestNewEnvironmentRefuses(t *testing.T) {
	t.Parallel()
	for _, pair := range []string{
		"DOCKER_HOST=a\nb", "docker_config=a\nb", "PATH=a\nb", "Path=a\r", "HOME=a\nb", "https_proxy=a\nb", "NO_PROXY=a\nb", "SSL_CERT_FILE=a\nb",
		"GODEBUG=a\nb", "LD_PRELOAD=a\nb", "EXECUTOR_OWNER=a\nb", "XDG_RUNTIME_DIR=\xff", "DOCKER_X=" + strings.Repeat("x", 70<<10),
		"A=" + strings.Repeat("x", 128<<10), "=a", "A=\x00",
	} {
		_, err := newEnvironment([]string{pair})
		name, value, _ := strings.Cut(pair, "=")
		require.Equalf(t, fault.User, fault.ClassOf(err), "variable %q", name)
		require.Errorf(t, err, "variable %q", name)
		if len(value) > 1 {
			require.NotContains(t, err.Error(), value)
		}
	}
}

// readEnvFile reads an env file as docker's command line reference says it does.
func readEnvFile(t require.TestingT, file []byte) map[string]string {
	variables := map[string]string{}
	scanner := bufio.NewScanner(bytes.NewReader(file))
	for scanner.Scan() {
		require.True(t, utf8.Valid(scanner.Bytes()))
		line := strings.TrimLeftFunc(strings.TrimPrefix(scanner.Text(), "\ufeff"), unicode.IsSpace)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		require.True(t, found)
		require.False(t, strings.ContainsFunc(name, unicode.IsSpace))
		variables[name] = value
	}
	require.NoError(t, scanner.Err())
	return variables
}

// Whatever the variables, the container sees exactly them, or the step is refused.
func TestEnvironmentKeepsEveryValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOfN(rapid.OneOf(
			rapid.StringMatching("[#A-C \ufeff]{1,3}=[a-c #=\n\r\t\"']{0,6}"),
			rapid.Custom(func(t *rapid.T) string { return "B=" + string(rapid.SliceOf(rapid.Byte()).Draw(t, "value")) }),
		), 0, 6).Draw(t, "pairs")
		env, err := newEnvironment(pairs)
		variables, invalid := host.Variables(pairs)
		require.Equal(t, invalid == nil, err == nil)
		if err != nil {
			return
		}
		seen := readEnvFile(t, env.file)
		for _, pair := range env.client {
			name, value, _ := strings.Cut(pair, "=")
			require.NotContains(t, seen, name)
			require.False(t, steers(name))
			seen[name] = value
		}
		want := map[string]string{}
		for _, variable := range variables {
			want[variable.Name] = variable.Value
		}
		require.Equal(t, want, seen)
		require.Len(t, env.names, len(want))
	})
}
