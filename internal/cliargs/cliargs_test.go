package cliargs_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/open-executor/executor/internal/cliargs"
)

func TestSort(t *testing.T) {
	t.Parallel()
	app := &cli.App{
		Flags: []cli.Flag{&cli.StringFlag{Name: "url"}, &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}}},
		Commands: []*cli.Command{{Name: "submit", Aliases: []string{"s"}, Flags: []cli.Flag{
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}},
			&cli.StringSliceFlag{Name: "repo"},
			&cli.IntFlag{Name: "limit"},
		}}},
	}
	for given, want := range map[string]string{
		"":                                    "",
		"submit":                              "submit",
		"submit a":                            "submit a",
		"submit a --follow":                   "submit --follow a",
		"submit a -f b":                       "submit -f a b",
		"s a -f":                              "s -f a",
		"submit a --repo x=y --repo=z b":      "submit --repo x=y --repo=z a b",
		"submit a --limit 5":                  "submit --limit 5 a",
		"submit a --limit":                    "submit --limit a",
		"submit a --url u -q":                 "--url u -q submit a",
		"--url u submit a --quiet":            "--url u --quiet submit a",
		"--url=u submit -":                    "--url=u submit -",
		"submit a --unknown b":                "submit --unknown a b",
		"submit a -- --follow":                "submit -- a --follow",
		"submit a -- b":                       "submit a b",
		"submit --help":                       "submit --help",
		"nothing a --follow":                  "nothing a --follow",
		"--quiet":                             "--quiet",
		"submit a --generate-bash-completion": "submit a --generate-bash-completion",
	} {
		got := cliargs.Sort(app, append([]string{"program"}, strings.Fields(given)...))
		require.Equal(t, append([]string{"program"}, strings.Fields(want)...), got, given)
	}
}
