package gitproxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/fault"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	server, _ := newServer(t, Config{Dir: dir, Repositories: map[string]Repository{
		"remote": {URL: upstream(t, dir) + "/team/bare", Username: "bot", Password: "p:ss"},
		"gone":   {Path: filepath.Join(dir, "gone")},
		"locked": {URL: upstream(t, dir) + "/team/bare", Username: "bot", Password: "wrong-password"},
	}})
	commit := func(revision string) string { return git(t, "-C", filepath.Join(dir, "plain"), "rev-parse", revision) }
	main := commit("main")
	for ref, want := range map[string]string{
		"main":                 main,
		"HEAD":                 main,
		"refs/heads/main":      main,
		"heads/main":           main,
		"feature/x":            commit("feature/x"),
		"light":                commit("light"),
		"v1":                   commit("v1^{commit}"),
		"refs/tags/v1":         commit("v1^{commit}"),
		main:                   main,
		strings.ToUpper(main):  main,
		commit("light^{tree}"): "", // exists, but is no commit
	} {
		for _, repository := range []string{"plain", "team/bare", "remote"} {
			got, err := server.Resolve(t.Context(), repository, ref)
			if want == "" && repository != "remote" {
				require.Equal(t, fault.User, fault.ClassOf(err))
				continue
			}
			require.NoError(t, err, "%s of %s", ref, repository)
			if want != "" {
				require.Equal(t, want, got, "%s of %s", ref, repository)
			}
		}
	}
	short, err := server.Resolve(t.Context(), "plain", main[:10])
	require.NoError(t, err)
	require.Equal(t, main, short)
	absent := strings.Repeat("ab", 32)
	taken, err := server.Resolve(t.Context(), "remote", absent)
	require.NoError(t, err)
	require.Equal(t, absent, taken)

	_, err = server.Resolve(t.Context(), "locked", "main")
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
	require.ErrorContains(t, err, `repository "locked": asking the remote for "main"`)
	require.NotContains(t, err.Error(), "wrong-password")

	_, err = server.Resolve(t.Context(), "gone", "main")
	require.Equal(t, fault.Operator, fault.ClassOf(err))
	require.ErrorContains(t, err, `repository "gone": the place that the frontend's configuration gives for it holds no git repository`)

	for _, test := range []struct{ repository, ref, want string }{
		{"plane", "main", `repository "plane" is not known to this frontend; did you mean "plain"?`},
		{"bare", "main", `did you mean "team/bare"?`},
		{"elsewhere", "main", `repository "elsewhere" is not known to this frontend`},
		{strings.Repeat("x", 1<<20), "main", `is not known`},
		{"plain", "mian", `repository "plain" has no branch, tag or commit "mian"; did you mean "main"?`},
		{"remote", "mian", `repository "remote" has no branch, tag or commit "mian"`},
		{"remote", main[:10], `has no branch, tag or commit`},
		{"plain", strings.Repeat("ab", 20), `has no branch, tag or commit`},
		{"plain", "", `repository "plain": commit "": want a branch, a tag or a commit hash; it is empty`},
		{"plain", strings.Repeat("a", 300), "300 characters"},
		{"plain", "--upload-pack=touch /tmp/x", `begins with "-"`},
		{"plain", "main~1", "'~' can't stand in it"},
		{"plain", ":/text", "':' can't"},
		{"plain", "main^{/x}", "'^' can't"},
		{"plain", "main@{1}", "revision expressions"},
		{"plain", "@", "revision expressions"},
		{"plain", "a..b", "revision expressions"},
		{"plain", "a b", "' ' can't"},
		{"plain", "a\nb", `'\n' can't`},
		{"plain", "/etc/passwd", "slashes"},
		{"plain", "a/.b", "dot"},
		{"remote", "*", "'*' can't"},
	} {
		_, err := server.Resolve(t.Context(), test.repository, test.ref)
		require.ErrorContains(t, err, test.want)
		require.Equal(t, fault.User, fault.ClassOf(err), test.ref)
	}
}

// Credentials stand on no command line: a stand-in for git writes down what it is given.
func TestCredentialsStandOnNoCommandLine(t *testing.T) {
	bin := t.TempDir()
	record := filepath.Join(bin, "record")
	script := "#!/bin/sh\n" +
		"printf '%s\\n' \"$@\" \"allow=$GIT_ALLOW_PROTOCOL\" \"$GIT_CONFIG_KEY_0=$GIT_CONFIG_VALUE_0\" \"$GIT_CONFIG_KEY_1\" > " + record + "\n" +
		"printf '%s\\trefs/heads/x/refs/heads/main\\n%s\\trefs/heads/main\\nnonsense\\n' " + strings.Repeat("00", 20) + " " + strings.Repeat("ab", 20) + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	server, err := New(logtest.Scoped(t), Config{Repositories: map[string]Repository{"r": {URL: "https://h.invalid/r", Username: "bot", Password: "p4ssw0rd"}}})
	require.NoError(t, err)
	commit, err := server.Resolve(t.Context(), "r", "main")
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("ab", 20), commit, "names are compared whole")
	said, err := os.ReadFile(record)
	require.NoError(t, err)
	require.NotContains(t, string(said), "p4ssw0rd")
	require.NotContains(t, string(said), "Basic")
	require.Contains(t, string(said), "https://h.invalid/r\n")
	require.Contains(t, string(said), "allow=http:https\nhttp.followRedirects=false\nhttp.extraHeader\n")
}

func FuzzRefs(f *testing.F) {
	for _, ref := range []string{"main", "a/b", "-x", "a..b", "@", "@{", "a~1", "a.lock", "x^{commit}", "é", "a b", "HEAD"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if checkRef(ref) != nil {
			return
		}
		if ref[0] == '-' || strings.ContainsAny(ref, "\x00\n\t ~^:?*[\\") || strings.Contains(ref, "..") || strings.Contains(ref, "@{") {
			t.Fatalf("%q is taken", ref)
		}
	})
}

func FuzzParseRefs(f *testing.F) {
	f.Add(strings.Repeat("ab", 20) + "\trefs/heads/main\n")
	f.Add("\t\n\t")
	f.Fuzz(func(t *testing.T, out string) {
		for name, commit := range parseRefs(out) {
			if !fullHash.MatchString(commit) || !strings.Contains(out, commit+"\t"+name) {
				t.Fatalf("%q named %q", commit, name)
			}
		}
	})
}
