package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/compose"
)

// maxText bounds the files that attributes name: they hold a few lines each.
const maxText = 1 << 20

// list is a flag that may stand several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, " ") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

// texts are attributes that are given as text or as a file: ATTRIBUTE:VALUE.
type texts map[string]string

func (t texts) set(value string) error {
	attribute, text, _ := strings.Cut(value, ":")
	if !slices.Contains(compose.TextAttributes, attribute) {
		return fmt.Errorf("no attribute %q", attribute)
	}
	t[attribute] = text
	return nil
}

func (t texts) setFile(value string) error {
	attribute, path, _ := strings.Cut(value, ":")
	text, err := readText(path)
	if err != nil {
		return fmt.Errorf("%s: %w", attribute, err)
	}
	return t.set(attribute + ":" + text)
}

func readText(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxText+1))
	if err == nil && len(text) > maxText {
		err = fmt.Errorf("%s has more than %d bytes", path, maxText)
	}
	return string(text), err
}

// readWords returns the words of a file; without a file there are none.
func readWords(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readText(path)
	return strings.Fields(text), err
}

// newFlags returns flags that report errors and print nothing.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parse refuses words that no flag takes.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%s: %w", flags.Name(), err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: %q is no flag", flags.Name(), flags.Arg(0))
	}
	return nil
}
