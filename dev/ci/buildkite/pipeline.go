// Package buildkite holds the part of a Buildkite pipeline that we use: its shape, its rules, and how it is written.
package buildkite

import "time"

// Pipeline is what `buildkite-agent pipeline upload` reads.
type Pipeline struct {
	Steps []Step `yaml:"steps"`
}

// Step is a command step. Commands run in the root of the checkout, in one shell that ends with the first that fails.
type Step struct {
	Key       string   `yaml:"key"`
	Label     string   `yaml:"label"`
	DependsOn []string `yaml:"depends_on,omitempty"`
	// Env must not hold a secret: people read pipelines.
	Env      map[string]string `yaml:"env,omitempty"`
	Commands []string          `yaml:"commands"`
	// SoftFail lists exit codes that end the step without failing the build; steps that depend on this one run all the same.
	SoftFail         []SoftFail `yaml:"soft_fail,omitempty"`
	TimeoutInMinutes int        `yaml:"timeout_in_minutes"`
	Retry            Retry      `yaml:"retry"`
	// Steps of the same group run one at a time across builds, in the order in which the builds came.
	ConcurrencyGroup string `yaml:"concurrency_group,omitempty"`
	Concurrency      int    `yaml:"concurrency,omitempty"`
}

// SoftFail is one exit code.
type SoftFail struct {
	ExitStatus int `yaml:"exit_status"`
}

// Retry says after which ends a step is run again by itself.
type Retry struct {
	Automatic []AutomaticRetry `yaml:"automatic"`
}

// AutomaticRetry is one exit code, and how often it leads to another run.
type AutomaticRetry struct {
	ExitStatus int `yaml:"exit_status"`
	Limit      int `yaml:"limit"`
}

// exitLost is the exit code that Buildkite gives to a step whose agent it lost.
const exitLost = -1

// RetryLostAgent runs a step once more when its agent got lost, and never otherwise.
func RetryLostAgent() Retry {
	return Retry{Automatic: []AutomaticRetry{{ExitStatus: exitLost, Limit: 1}}}
}

// Minutes is a step's timeout; fractions are cut off.
func Minutes(timeout time.Duration) int { return int(timeout / time.Minute) }
