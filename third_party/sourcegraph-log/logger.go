package log

import (
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logger writes structured messages. Safe for concurrent use; methods that return a Logger leave the receiver as it is.
type Logger interface {
	// Scoped returns a logger whose scope is the receiver's, a dot, and scope.
	Scoped(scope string) Logger
	// With adds fields to every message.
	With(fields ...Field) Logger
	// WithTrace ties every message to a trace, in place of any earlier one.
	WithTrace(trace TraceContext) Logger

	// Debug is for those who look for a fault.
	Debug(message string, fields ...Field)
	// Info tells of normal events.
	Info(message string, fields ...Field)
	// Warn tells of something that may need a look.
	Warn(message string, fields ...Field)
	// Error tells of something that failed.
	Error(message string, fields ...Field)
	// Fatal logs, syncs and exits the process with code 1.
	Fatal(message string, fields ...Field)

	// AddCallerSkip makes the logged caller n frames further up.
	AddCallerSkip(n int) Logger
	// IncreaseLevel returns a logger under a scope that drops what is below level. A level lower than the one in force changes
	// nothing. The description is for readers of the code only.
	IncreaseLevel(scope string, description string, level Level) Logger
}

// TraceContext names a span of a trace. Empty parts are left out.
type TraceContext struct {
	TraceID string
	SpanID  string
}

// adapter is a Logger on zap. Trace and attributes are kept apart from base, because zap can't go back to the top level of
// a message once the namespace of the attributes is open.
type adapter struct {
	// base has the scope, the resource and the core, but none of the following.
	base *zap.Logger
	// flat is set in development: attributes stand at the top level.
	flat   bool
	trace  TraceContext
	fields []Field
	// out is base with trace and fields.
	out *zap.Logger
}

func newAdapter(base *zap.Logger, flat bool) *adapter {
	return adapter{base: base.WithOptions(zap.AddCallerSkip(1)), flat: flat}.build()
}

func (a adapter) build() *adapter {
	a.out = a.base
	if a.trace.TraceID != "" {
		a.out = a.out.With(String("TraceId", a.trace.TraceID))
	}
	if a.trace.SpanID != "" {
		a.out = a.out.With(String("SpanId", a.trace.SpanID))
	}
	if !a.flat {
		a.out = a.out.With(Namespace("Attributes"))
	}
	a.out = a.out.With(a.fields...)
	return &a
}

// WithCore returns a logger that writes to core instead, with attributes at the top level. Package logtest finds it by
// interface; it is no part of Logger.
func (a *adapter) WithCore(core zapcore.Core) Logger {
	return a.rebased(true, zap.WrapCore(func(zapcore.Core) zapcore.Core { return core }), zap.AddCaller())
}

func (a *adapter) Scoped(scope string) Logger {
	next := *a
	next.base = a.base.Named(scope)
	return next.build()
}

func (a *adapter) With(fields ...Field) Logger {
	next := *a
	next.fields = append(slices.Clip(a.fields), fields...)
	next.out = a.out.With(fields...)
	return &next
}

func (a *adapter) WithTrace(trace TraceContext) Logger {
	next := *a
	next.trace = trace
	return next.build()
}

func (a *adapter) Debug(message string, fields ...Field) { a.out.Debug(message, fields...) }
func (a *adapter) Info(message string, fields ...Field)  { a.out.Info(message, fields...) }
func (a *adapter) Warn(message string, fields ...Field)  { a.out.Warn(message, fields...) }
func (a *adapter) Error(message string, fields ...Field) { a.out.Error(message, fields...) }
func (a *adapter) Fatal(message string, fields ...Field) { a.out.Fatal(message, fields...) }

func (a *adapter) AddCallerSkip(n int) Logger { return a.rebased(a.flat, zap.AddCallerSkip(n)) }

func (a *adapter) IncreaseLevel(scope string, _ string, level Level) Logger {
	lowest := level.Parse()
	raise := zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return &filterCore{Core: core, lowest: func(string) zapcore.Level { return lowest }}
	})
	return a.rebased(a.flat, raise).Scoped(scope)
}

func (a *adapter) rebased(flat bool, options ...zap.Option) Logger {
	next := *a
	next.flat = flat
	next.base = a.base.WithOptions(options...)
	return next.build()
}
