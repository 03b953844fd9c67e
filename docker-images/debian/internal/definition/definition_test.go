package definition

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const small = `
suite: bookworm
architectures: [amd64]
sets:
  base: {packages: [base-files], users: [{name: executor, id: 1000, home: /home/executor, shell: /bin/sh}]}
  git: {on: base, packages: [git], without: {perl: too large}, only: [usr/bin/]}
  lfs: {on: git, packages: [git-lfs], dependencies: false}
drop: [usr/share/man/]
scripts: {git: cleans up}
`

func TestChainsAndOrder(t *testing.T) {
	t.Parallel()
	d, err := Parse([]byte(small))
	require.NoError(t, err)
	chain, err := d.Chain("lfs")
	require.NoError(t, err)
	require.Equal(t, []string{"base", "git", "lfs"}, chain)
	require.Equal(t, []string{"base", "git", "lfs"}, d.Order())
	require.True(t, d.Sets["lfs"].Alone())
	require.False(t, d.Sets["git"].Alone())
	_, err = d.Chain("hg")
	require.EqualError(t, err, `no set "hg"; there are base, git, lfs`)
}

func TestRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	for change, want := range map[string]string{
		"bookworm -> ../etc": "suite",
		"[amd64] -> []":      "at least one each",
		"[amd64] -> [AMD]":   `architecture "AMD"`,
		"on: base, packages: [git] -> on: hg, packages: [git]":        `no set "hg"`,
		"{packages: [base-files] -> {on: lfs, packages: [base-files]": "lies on itself",
		"packages: [git-lfs] -> packages: []":                         "it names no packages",
		"packages: [git-lfs] -> packages: [--purge]":                  `package "--purge"`,
		"perl: too large -> perl: ''":                                 `"perl": want a package's name and a reason`,
		"perl: too large -> git: no":                                  "package git is asked for and left out",
		"usr/bin/ -> /usr/bin/":                                       `path "/usr/bin/"`,
		"usr/share/man/ -> ../man":                                    `path "../man"`,
		"id: 1000 -> id: 0":                                           "user",
		"home: /home/executor -> home: /home/../etc":                  "user",
		"cleans up -> ''":                                             `"git": want a package's name and a reason`,
		"suite: bookworm -> colour: blue":                             "field colour not found",
	} {
		old, new, found := strings.Cut(change, " -> ")
		require.True(t, found && strings.Contains(small, old), change)
		_, err := Parse([]byte(strings.Replace(small, old, new, 1)))
		require.ErrorContains(t, err, want, change)
	}
	_, err := Parse(make([]byte, maxFile+1))
	require.ErrorContains(t, err, "at most")
}
