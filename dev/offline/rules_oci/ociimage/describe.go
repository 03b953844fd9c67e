package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/compose"
)

func describe(_ context.Context, args []string, _ io.Writer) error {
	var target, layer, out string
	flags := newFlags("describe")
	flags.StringVar(&target, "target", "", "label of the layer, for messages")
	flags.StringVar(&layer, "layer", "", "tar file")
	flags.StringVar(&out, "out", "", "file to write")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := describeFile(layer, out); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}

func describeFile(path, out string) error {
	tar, err := os.Open(path)
	if err != nil {
		return err
	}
	layer, err := compose.Describe(tar)
	if err := errors.Join(err, tar.Close()); err != nil {
		return err
	}
	text, err := json.Marshal(layer)
	if err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o644)
}

func readDescription(path string) (compose.Layer, error) {
	var layer compose.Layer
	text, err := readText(path)
	if err != nil {
		return layer, err
	}
	if err := json.Unmarshal([]byte(text), &layer); err != nil {
		return layer, fmt.Errorf("%s is no description of a layer: %w", path, err)
	}
	return layer, nil
}
