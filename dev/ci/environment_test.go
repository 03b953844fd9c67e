package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFork(t *testing.T) {
	t.Parallel()
	const ours = "git@github.com:open-executor/executor.git"
	for name, test := range map[string]struct {
		repository, pullRequest string
		want                    bool
	}{
		"no pull request":     {ours, "", false},
		"same address":        {ours, ours, false},
		"git":                 {ours, "git://github.com/open-executor/executor.git", false},
		"https":               {ours, "https://github.com/open-executor/executor", false},
		"https with a user":   {ours, "https://me:x@github.com/open-executor/executor.git", false},
		"ssh with a port":     {ours, "ssh://git@github.com:22/open-executor/executor.git", false},
		"slash at the end":    {ours, "https://github.com/open-executor/executor/", false},
		"other case":          {ours, "git://github.com/Open-Executor/Executor.git", false},
		"another owner":       {ours, "git://github.com/someone/executor.git", true},
		"another name":        {ours, "git://github.com/open-executor/executor-2.git", true},
		"another host":        {ours, "git://github.example/open-executor/executor.git", true},
		"ours inside another": {ours, "git://github.com/evil/github.com/open-executor/executor.git", true},
		"host in the user":    {ours, "https://github.com@evil.example/open-executor/executor.git", true},
		"ours not known":      {"", "git://github.com/open-executor/executor.git", true},
		"can't be read":       {ours, "executor", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, fork(test.repository, test.pullRequest))
		})
	}
}

func TestTruth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": false, "false": false, "0": false, "true": true, "1": true} {
		got, err := truth(func(string) string { return text }, "RELEASE_INTERNAL")
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	_, err := truth(func(string) string { return "yes" }, "RELEASE_INTERNAL")
	require.EqualError(t, err, `RELEASE_INTERNAL is "yes": it may be true, false or unset`)
}
