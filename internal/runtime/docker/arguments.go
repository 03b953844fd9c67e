package docker

import (
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/runtime"
)

// dataDir is the workspace inside a container.
const dataDir = "/data"

// invocation is one "docker run".
type invocation struct {
	options   Options
	configDir string
	name      string
	labels    []string
	hostDir   string
	step      runtime.Step
	// dir is the step's directory, cleaned.
	dir     string
	env     environment
	envFile string
}

// words are the command in the order of spec section 5.1, with our additions directly after --rm.
func (i invocation) words() []string {
	var env []string
	if i.envFile != "" {
		env = append(env, "--env-file", i.envFile)
	}
	for _, pair := range i.env.client {
		name, _, _ := strings.Cut(pair, "=")
		env = append(env, "-e", name)
	}
	return i.command(env)
}

// shown are the words for the log, which name every variable where the spec has them.
func (i invocation) shown() []string {
	var env []string
	for _, name := range i.env.names {
		env = append(env, "-e", name)
	}
	return i.command(env)
}

func (i invocation) command(env []string) []string {
	words := []string{"docker"}
	if i.configDir != "" {
		words = append(words, "--config", i.configDir)
	}
	words = append(words, "run", "--rm", "--name", i.name)
	for _, label := range i.labels {
		words = append(words, "--label", label)
	}
	// The init reaps orphans, and passes SIGTERM on to all that the script started instead of to its shell alone. The engine
	// keeps no copy of the output: it could fill its disk, and nobody reads it.
	words = append(words, "--init", "-e", "TINI_KILL_PROCESS_GROUP=1", "--log-driver", "none",
		"--pids-limit", strconv.Itoa(i.options.PidsLimit))
	words = append(words, i.options.flags()...)
	words = append(words, "-v", i.hostDir+":"+dataDir, "-w", path.Join(dataDir, i.dir))
	words = append(words, env...)
	return append(words, "--entrypoint", "/bin/sh", i.step.Image, path.Join(dataDir, runtime.ScriptsDir, i.step.Script))
}

// flags are those that are the same for every step.
func (o Options) flags() []string {
	var flags []string
	if o.AddHostGateway {
		flags = append(flags, "--add-host=host.docker.internal:host-gateway")
	}
	if o.CPUs != 0 {
		flags = append(flags, "--cpus", strconv.Itoa(o.CPUs))
	}
	if o.limitsMemory() {
		flags = append(flags, "--memory", o.Memory)
	}
	for _, mount := range o.Mounts {
		flags = append(flags, "--mount", mount)
	}
	return flags
}

// checkImage refuses what docker would take for an option instead of an image, and what no image can be called.
func checkImage(image string) error {
	if image == "" || strings.HasPrefix(image, "-") || strings.ContainsFunc(image, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fault.Userf("%q is not an image reference; give one such as debian:12", image)
	}
	return nil
}
