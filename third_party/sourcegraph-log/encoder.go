package log

import "go.uber.org/zap/zapcore"

// newEncoder names the parts of a message after OpenTelemetry's log data model.
func newEncoder(config config) zapcore.Encoder {
	keys := zapcore.EncoderConfig{
		LevelKey:       "SeverityText",
		TimeKey:        "Timestamp",
		NameKey:        "InstrumentationScope",
		CallerKey:      "Caller",
		FunctionKey:    "Function",
		MessageKey:     "Body",
		StacktraceKey:  "Stacktrace",
		EncodeLevel:    zapcore.CapitalLevelEncoder,
		EncodeTime:     zapcore.EpochNanosTimeEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
		EncodeCaller:   zapcore.ShortCallerEncoder,
	}
	if config.development {
		keys.EncodeDuration = zapcore.StringDurationEncoder
	}
	switch config.format {
	case formatConsole:
		keys.FunctionKey = zapcore.OmitKey
		keys.EncodeTime = zapcore.ISO8601TimeEncoder
		if config.development {
			keys.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		return zapcore.NewConsoleEncoder(keys)
	case formatJSONGCP:
		keys.LevelKey, keys.TimeKey, keys.MessageKey = "severity", "timestampNanos", "message"
	}
	return zapcore.NewJSONEncoder(keys)
}
