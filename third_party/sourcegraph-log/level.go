package log

import (
	"strings"

	"go.uber.org/zap/zapcore"
)

// Level is how serious a message is, in lower case.
type Level string

// Levels, the least serious first. LevelNone is above all messages.
const (
	LevelDebug Level = "debug"
	LevelInfo  Level = "info"
	LevelWarn  Level = "warn"
	LevelError Level = "error"
	LevelNone  Level = "none"
)

const zapNone = zapcore.FatalLevel + 1

// Parse returns zap's level. Unknown ones count as LevelWarn.
func (l Level) Parse() zapcore.Level {
	switch strings.ToLower(string(l)) {
	case "debug", "dbug":
		return zapcore.DebugLevel
	case "info":
		return zapcore.InfoLevel
	case "error", "eror", "crit":
		return zapcore.ErrorLevel
	case "none":
		return zapNone
	default:
		return zapcore.WarnLevel
	}
}
