//go:build !linux

package command

import "os/exec"

// awaitExit returns when the command has exited. It reaps it: only Linux lets us look without.
func awaitExit(cmd *exec.Cmd) error { return cmd.Wait() }
