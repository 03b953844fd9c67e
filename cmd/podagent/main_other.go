//go:build !linux

// Command podagent is what the containers of a job's pod begin with, which run Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "podagent runs on Linux only, in the containers of a job's pod")
	os.Exit(2)
}
