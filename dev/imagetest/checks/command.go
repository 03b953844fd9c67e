package checks

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/open-executor/executor/dev/imagetest/schema"
)

// stage is an image that a test begins with.
type stage struct {
	image  string
	config Config
	// env is to be set in its containers, and is in its configuration.
	env []string
}

// begin returns the image under test with the file's variables.
func (r Runner) begin(ctx context.Context, f *schema.File) (stage, error) {
	config, err := r.Engine.Config(ctx, r.Image)
	if err != nil {
		return stage{}, err
	}
	s := stage{image: r.Image, config: config}
	s.config.Env = make(map[string]string)
	maps.Copy(s.config.Env, config.Env)
	for _, v := range f.GlobalEnv {
		value := expand(v.Value, config.Env)
		s.config.Env[v.Key] = value
		s.env = append(s.env, v.Key+"="+value)
	}
	return s, nil
}

func (r Runner) command(ctx context.Context, f *schema.File, c schema.Command, result *Result) {
	s, err := r.begin(ctx, f)
	for _, words := range c.Setup {
		if err == nil {
			s, err = r.setUp(ctx, f, c, s, words, result)
		}
	}
	if err != nil {
		result.fail("%v", why(ctx, err))
		return
	}
	words := []string{expand(c.Command, s.config.Env)}
	for _, arg := range c.Args {
		words = append(words, expand(arg, s.config.Env))
	}
	env := slices.Clone(s.env)
	for _, v := range c.Env {
		env = append(env, v.Key+"="+v.Value)
	}
	for _, name := range f.RunOptions.PassEnv {
		value := r.Env(name)
		if value == "" {
			result.fail("containerRunOptions pass on %s, which is not set", name)
			return
		}
		env = append(env, name+"="+value)
	}
	outcome, err := r.Engine.Run(ctx, Run{Image: s.image, Command: words, Env: env, Options: f.RunOptions})
	if err != nil {
		result.fail("%v", why(ctx, err))
		return
	}
	match(result, "stderr", outcome.Stderr, c.ExpectedError, c.ExcludedError)
	match(result, "stdout", outcome.Stdout, c.ExpectedOutput, c.ExcludedOutput)
	if outcome.ExitCode != c.ExitCode {
		result.fail("exit code is %d, want %d; stdout: %s; stderr: %s", outcome.ExitCode, c.ExitCode, excerpt(outcome.Stdout), excerpt(outcome.Stderr))
	}
}

// setUp runs a setup command and returns what it leaves. The variables that it ran with stay in the image that it leaves.
func (r Runner) setUp(ctx context.Context, f *schema.File, c schema.Command, s stage, words []string, result *Result) (stage, error) {
	env := slices.Clone(s.env)
	for _, v := range c.Env {
		env = append(env, v.Key+"="+expand(v.Value, s.config.Env))
	}
	image, exitCode, err := r.Engine.Snapshot(ctx, Run{Image: s.image, Command: words, Env: env, Options: f.RunOptions})
	if err != nil {
		return stage{}, fmt.Errorf("setup command %q: %w", strings.Join(words, " "), err)
	}
	if exitCode != 0 {
		// The real tool doesn't look at it.
		result.Notes = append(result.Notes, fmt.Sprintf("setup command %q has exit code %d", strings.Join(words, " "), exitCode))
	}
	config, err := r.Engine.Config(ctx, image)
	return stage{image: image, config: config}, err
}

// expand puts variables into a text; unknown ones are empty, as in the real tool.
func expand(text string, env map[string]string) string {
	return os.Expand(text, func(name string) string { return env[name] })
}

// match tells which patterns are missing in a text and which are in it wrongly.
func match(result *Result, what, text string, expected, excluded []schema.Pattern) {
	for _, pattern := range expected {
		if !pattern.MatchString(text) {
			result.fail("%s has nothing that matches %q: %s", what, pattern, excerpt(text))
		}
	}
	for _, pattern := range excluded {
		if pattern.MatchString(text) {
			result.fail("%s has something that matches %q: %s", what, pattern, excerpt(text))
		}
	}
}

// excerpt quotes what fits into a line.
func excerpt(text string) string {
	const most = 500
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q… (%d bytes)", strings.ToValidUTF8(text[:most], ""), len(text))
}

// sorted returns the keys of a set, for messages.
func sorted(set []string) string {
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(set)), ", ")
}
