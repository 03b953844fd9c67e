//go:build !linux

// Command vmagent is the first process in a microVM's guest, which runs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "vmagent runs on Linux only, as the first process of a microVM")
	os.Exit(2)
}
