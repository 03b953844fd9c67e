package log

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Field is one key and value of a message.
type Field = zapcore.Field

// Constructors of fields, by the type of their value. All are zap's.
var (
	// Binary is for opaque bytes, shown as base64.
	Binary = zap.Binary
	Bool   = zap.Bool
	Bools  = zap.Bools
	// Bytes is for UTF-8 text held in bytes.
	Bytes     = zap.ByteString
	Duration  = zap.Duration
	Durations = zap.Durations
	Float64   = zap.Float64
	Float64s  = zap.Float64s
	Int       = zap.Int
	Int32     = zap.Int32
	Int64     = zap.Int64
	Ints      = zap.Ints
	Int64s    = zap.Int64s
	// Namespace nests all fields that follow it under a key.
	Namespace = zap.Namespace
	String    = zap.String
	Stringp   = zap.Stringp
	Strings   = zap.Strings
	Time      = zap.Time
	Times     = zap.Times
	Uint      = zap.Uint
	Uint32    = zap.Uint32
	Uint64    = zap.Uint64
	// Object nests the fields given with it under a key.
	Object = zap.Dict
)

// Error is an error under the key "error"; nothing for nil.
func Error(err error) Field { return NamedError("error", err) }

// NamedError is an error's text under a key; nothing for nil.
func NamedError(key string, err error) Field {
	if err == nil {
		return zap.Skip()
	}
	return zap.NamedError(key, textOnly{err})
}

// textOnly hides whatever else an error can do, which zap would render under further keys.
type textOnly struct{ error }
