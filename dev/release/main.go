// Command release makes the directory that cmd/executor/_binary.push.sh publishes; see its package command.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/open-executor/executor/dev/release/command"
)

func main() {
	err := command.Run(os.Args[1:], os.Getenv, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(os.Stderr, "release: "+strings.TrimSpace(line))
	}
	os.Exit(1)
}
