package config

import (
	"encoding/json"
	"fmt"
	"io"
)

// Secret holds a value that no way of printing, logging or encoding shows. The zero value holds T's zero value.
type Secret[T any] struct{ value T }

// hidden is what a Secret shows of itself, whatever it holds.
const hidden = "[secret]"

// NewSecret hides a value.
func NewSecret[T any](value T) Secret[T] { return Secret[T]{value} }

// Reveal returns the value. The caller must not print it.
func (s Secret[T]) Reveal() T { return s.value }

// Format writes a fixed text for every verb and flag.
func (s Secret[T]) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, hidden) }

// String returns a fixed text.
func (s Secret[T]) String() string { return hidden }

// GoString returns a fixed text.
func (s Secret[T]) GoString() string { return hidden }

// MarshalJSON encodes a fixed text.
func (s Secret[T]) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalText encodes a fixed text; YAML encoders and loggers use it.
func (s Secret[T]) MarshalText() ([]byte, error) { return []byte(hidden), nil }
