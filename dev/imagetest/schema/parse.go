package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxBytes bounds a file.
const maxBytes = 1 << 20

// ReadFile reads a file of tests. The error lists every problem in it, one a line, each with file, line and column.
func ReadFile(path string) (*File, error) {
	if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" {
		return nil, fmt.Errorf("%s: the name of a file of tests ends in .yaml or .yml", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse reads the text of a file of tests; name stands for it in errors.
func Parse(name string, text []byte) (*File, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%s: more than %d bytes", name, maxBytes)
	}
	document, err := parseYAML(name, text)
	if err != nil {
		return nil, err
	}
	r := &reader{file: name}
	f := r.readFile(document.Content[0])
	if len(r.problems) == 0 && f.Tests() == 0 {
		r.fail(document.Content[0], "there is no test in it")
	}
	return f, errors.Join(r.problems...)
}

// inMessage finds the line in an error of the YAML package.
var inMessage = regexp.MustCompile(`^yaml: line (\d+): (.*)`)

func parseYAML(name string, text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, next yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1:1: the file is empty", name)
	}
	if err == nil {
		if err = decoder.Decode(&next); err == nil {
			return nil, fmt.Errorf("%s:%d:%d: a second document begins: a file holds one", name, next.Line, next.Column)
		}
	}
	if errors.Is(err, io.EOF) {
		return &document, nil
	}
	if found := inMessage.FindStringSubmatch(err.Error()); found != nil {
		line, convertErr := strconv.Atoi(found[1])
		if convertErr == nil {
			return nil, fmt.Errorf("%s:%d:1: no YAML: %s", name, line, found[2])
		}
	}
	return nil, fmt.Errorf("%s: no YAML: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
}
