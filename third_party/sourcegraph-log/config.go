package log

import (
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"
)

type format string

const (
	formatJSON    format = "json"
	formatJSONGCP format = "json_gcp"
	formatConsole format = "console"
)

// config is what the environment says.
type config struct {
	level       zapcore.Level
	format      format
	development bool
	// scopes maps full scope names to the level that holds for them and their children.
	scopes map[string]zapcore.Level
	// Of the messages that are identical but for their fields, the first initial of each second are logged and of the rest
	// every thereafter-th; all of them when either is not positive.
	initial, thereafter int
}

const defaultSampling = 100

func configFromEnv(getenv func(string) string) config {
	development, _ := strconv.ParseBool(getenv("SRC_DEVELOPMENT"))
	return config{
		level:       Level(getenv("SRC_LOG_LEVEL")).Parse(),
		format:      parseFormat(getenv("SRC_LOG_FORMAT"), development),
		development: development,
		scopes:      parseScopes(getenv("SRC_LOG_SCOPE_LEVEL")),
		initial:     parseSampling(getenv("SRC_LOG_SAMPLING_INITIAL")),
		thereafter:  parseSampling(getenv("SRC_LOG_SAMPLING_THEREAFTER")),
	}
}

func parseFormat(text string, development bool) format {
	switch text {
	case "json", "logfmt":
		return formatJSON
	case "json_gcp":
		return formatJSONGCP
	case "console", "condensed":
		return formatConsole
	}
	if development {
		return formatConsole
	}
	return formatJSON
}

// parseScopes reads "scope=level,scope=level"; what has not this form is passed over.
func parseScopes(text string) map[string]zapcore.Level {
	scopes := map[string]zapcore.Level{}
	for pair := range strings.SplitSeq(text, ",") {
		scope, level, ok := strings.Cut(pair, "=")
		if scope = strings.TrimSpace(scope); ok && scope != "" {
			scopes[scope] = Level(strings.TrimSpace(level)).Parse()
		}
	}
	return scopes
}

func parseSampling(text string) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return defaultSampling
}

// lowest returns the level from which on a scope's messages are logged: that of its nearest ancestor that has one of its own, or else
// the common one.
func (c config) lowest(scope string) zapcore.Level {
	for scope != "" {
		if level, ok := c.scopes[scope]; ok {
			return level
		}
		cut := strings.LastIndexByte(scope, '.')
		if cut < 0 {
			break
		}
		scope = scope[:cut]
	}
	return c.level
}
