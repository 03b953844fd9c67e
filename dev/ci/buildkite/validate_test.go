package buildkite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func sound(key string, after ...string) Step {
	return Step{
		Key:              key,
		Label:            "A step",
		DependsOn:        after,
		Env:              map[string]string{"VERSION": "1.2.3"},
		Commands:         []string{"true"},
		TimeoutInMinutes: Minutes(time.Hour),
		Retry:            RetryLostAgent(),
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(*Pipeline)
		want  string
	}{
		"sound":             {spoil: func(*Pipeline) {}},
		"no steps":          {func(p *Pipeline) { p.Steps = nil }, "the pipeline has no steps"},
		"bad key":           {func(p *Pipeline) { p.Steps[0].Key = "Build it"; p.Steps[1].DependsOn = nil }, `step "Build it": the key is not of the form`},
		"no key":            {func(p *Pipeline) { p.Steps[1].Key = "" }, `step "": the key is not of the form`},
		"key twice":         {func(p *Pipeline) { p.Steps[1] = sound("build") }, `step "build": another step has the same key`},
		"no label":          {func(p *Pipeline) { p.Steps[0].Label = "" }, `step "build": the label is empty`},
		"unknown step":      {func(p *Pipeline) { p.Steps[1].DependsOn = []string{"bild"} }, `step "publish": it depends on "bild", and no step before it has that key`},
		"depends on itself": {func(p *Pipeline) { p.Steps[1].DependsOn = []string{"publish"} }, `step "publish": it depends on "publish"`},
		"depends on later":  {func(p *Pipeline) { p.Steps[0].DependsOn = []string{"publish"} }, `step "build": it depends on "publish"`},
		"unknown variable":  {func(p *Pipeline) { p.Steps[0].Env = map[string]string{"VERSOIN": "1"} }, `step "build": nothing reads the variable VERSOIN`},
		"empty variable":    {func(p *Pipeline) { p.Steps[0].Env = map[string]string{"VERSION": ""} }, `step "build": the variable VERSION is empty`},
		"no command":        {func(p *Pipeline) { p.Steps[0].Commands = nil }, `step "build": it has no command`},
		"empty command":     {func(p *Pipeline) { p.Steps[0].Commands = []string{"true", " "} }, `step "build": command 2, " ", is not one line`},
		"two lines":         {func(p *Pipeline) { p.Steps[0].Commands = []string{"true\nfalse"} }, `step "build": command 1, "true\nfalse", is not one line`},
		"success is soft":   {func(p *Pipeline) { p.Steps[0].SoftFail = []SoftFail{{ExitStatus: 0}} }, `step "build": it fails softly with 0`},
		"no timeout":        {func(p *Pipeline) { p.Steps[0].TimeoutInMinutes = 0 }, `step "build": its timeout is 0 minutes`},
		"endless retry":     {func(p *Pipeline) { p.Steps[0].Retry.Automatic[0].Limit = 0 }, `step "build": it is retried 0 times after exit code -1`},
		"dollar, command":   {func(p *Pipeline) { p.Steps[0].Commands = []string{"echo $TOKEN"} }, `step "build": "echo $TOKEN" holds a dollar sign`},
		"dollar, variable":  {func(p *Pipeline) { p.Steps[0].Env["VERSION"] = "$TOKEN" }, `step "build": "$TOKEN" holds a dollar sign`},
		"dollar, label":     {func(p *Pipeline) { p.Steps[0].Label = "${TOKEN}" }, `step "build": "${TOKEN}" holds a dollar sign`},
		"dollar, group":     {func(p *Pipeline) { p.Steps[0].ConcurrencyGroup, p.Steps[0].Concurrency = "$A", 1 }, `step "build": "$A" holds a dollar sign`},
		"group alone":       {func(p *Pipeline) { p.Steps[0].ConcurrencyGroup = "g" }, `step "build": a concurrency group and a concurrency go together, got "g" and 0`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pipeline := Pipeline{Steps: []Step{sound("build"), sound("publish", "build")}}
			test.spoil(&pipeline)
			err := pipeline.Validate([]string{"VERSION"})
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
		})
	}
}

// All faults are told at once.
func TestValidateNamesEveryFault(t *testing.T) {
	t.Parallel()
	err := Pipeline{Steps: []Step{{Key: "a"}, {Key: "b", DependsOn: []string{"c"}}}}.Validate(nil)
	for _, want := range []string{`step "a": the label`, `step "a": it has no command`, `step "a": its timeout`, `step "b": it depends on "c"`} {
		require.ErrorContains(t, err, want)
	}
}
