package logview

import (
	"fmt"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/api/jobs"
)

type color string

const (
	bold  color = "\x1b[1m"
	dim   color = "\x1b[2m"
	red   color = "\x1b[31m"
	green color = "\x1b[32m"
	reset       = "\x1b[0m"
)

const gitPrefix = "setup.git."

// titles are what preparations are called here; keys are spec section 4.3's.
var titles = map[string]string{
	"setup.fs.workspace":      "setup: workspace",
	"setup.fs.extras":         "setup: files",
	"setup.firecracker.start": "setup: virtual machine",
	"setup.startup-script":    "setup: start-up script",
	"teardown.fs":             "clean-up: workspace",
}

// title is what people call an entry: the step's key, or what was prepared.
func title(key string) string {
	key = Clean(key, false)
	if known, ok := titles[key]; ok {
		return known
	}
	for _, prefix := range []string{"step.docker.", "step.kubernetes.", "step.src."} {
		if step, ok := strings.CutPrefix(key, prefix); ok && step != "" {
			if strings.Trim(step, "0123456789") == "" {
				return "step " + step
			}
			return step
		}
	}
	if command, ok := strings.CutPrefix(key, gitPrefix); ok {
		return "setup: git " + command
	}
	return key
}

func verdict(exit *jobs.Entry) string {
	if *exit.ExitCode == 0 {
		return "ok"
	}
	return fmt.Sprintf("exit code %d", *exit.ExitCode)
}

func colorOf(exit *jobs.Entry) color {
	if *exit.ExitCode == 0 {
		return green
	}
	return red
}

func duration(ms *int) string {
	if ms == nil {
		return "?"
	}
	return shortDuration(time.Duration(*ms) * time.Millisecond)
}

// shortDuration has as many digits as one wants to read.
func shortDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// gitCommands counts the git commands of a clone, which are shown as one line.
type gitCommands struct {
	count int
	ms    int
}

func (c *gitCommands) add(exit *jobs.Entry) {
	c.count++
	if exit.DurationMs != nil {
		c.ms += *exit.DurationMs
	}
}

func (c *gitCommands) flush(v *View) {
	switch c.count {
	case 0:
	case 1:
		v.line(dim, "setup: git (1 command), %s", duration(&c.ms))
	default:
		v.line(dim, "setup: git (%d commands), %s", c.count, duration(&c.ms))
	}
	*c = gitCommands{}
}
