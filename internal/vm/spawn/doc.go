//go:build !linux

// Package spawn starts monitors, on Linux.
package spawn
