package log

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Sink is a further place that messages go to. Only this package can implement it, and so far has none to offer.
type Sink interface {
	// Name says what the sink is in errors.
	Name() string
	build() (zapcore.Core, error)
}

// SinksConfig is the configuration of all sinks that can change theirs: none here.
type SinksConfig struct{}

// SinksConfigGetter returns the configuration that sinks should have now.
type SinksConfigGetter func() SinksConfig

// outputSink encodes messages and writes them to a stream.
type outputSink struct {
	config config
	output io.Writer
}

func (s *outputSink) Name() string { return "output" }

func (s *outputSink) build() (zapcore.Core, error) {
	writer := zapcore.Lock(zapcore.AddSync(s.output))
	core := zapcore.NewCore(newEncoder(s.config), writer, zapcore.DebugLevel)
	if s.config.initial > 0 && s.config.thereafter > 0 {
		core = zapcore.NewSamplerWithOptions(core, time.Second, s.config.initial, s.config.thereafter)
	}
	// Levels are applied before sampling, so that dropped messages use up nothing of the allowance.
	return &filterCore{Core: core, lowest: s.config.lowest}, nil
}

func newRoot(config config, resource Resource, sinks []Sink) (*zap.Logger, error) {
	cores := make([]zapcore.Core, 0, len(sinks))
	for _, sink := range sinks {
		core, err := sink.build()
		if err != nil {
			return nil, fmt.Errorf("sink %s: %w", sink.Name(), err)
		}
		cores = append(cores, core)
	}
	root := zap.New(zapcore.NewTee(cores...), zap.AddCaller(), zap.AddStacktrace(zapcore.FatalLevel))
	if !config.development {
		root = root.With(Object("Resource", resource.attributes()...))
	}
	return root, nil
}

// filterCore drops messages below the lowest level of their scope.
type filterCore struct {
	zapcore.Core
	lowest func(scope string) zapcore.Level
}

func (c *filterCore) With(fields []Field) zapcore.Core {
	return &filterCore{Core: c.Core.With(fields), lowest: c.lowest}
}

func (c *filterCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.Level < c.lowest(entry.LoggerName) {
		return checked
	}
	return c.Core.Check(entry, checked)
}
