package jqjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxDepth is far beyond what manifests and configurations nest.
const maxDepth = 64

// ParseObject reads a JSON text that holds one object. A key that stands twice in an object is an error: readers differ about which one
// counts.
func ParseObject(text []byte) (*Object, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := parse(decoder, 0)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("no JSON at byte %d: %w", decoder.InputOffset(), err)
	}
	object, ok := value.(*Object)
	if !ok {
		return nil, errors.New("no JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the JSON object at byte %d", decoder.InputOffset())
	}
	return object, nil
}

func parse(decoder *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return parseObject(decoder, depth)
	case json.Delim('['):
		return parseArray(decoder, depth)
	default:
		return token, nil
	}
}

func parseObject(decoder *json.Decoder, depth int) (*Object, error) {
	object := &Object{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string) // the decoder takes nothing else for a key
		if _, found := object.values[key]; found {
			return nil, fmt.Errorf("key %q stands twice", key)
		}
		value, err := parse(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		object.Set(key, value)
	}
	_, err := decoder.Token()
	return object, err
}

func parseArray(decoder *json.Decoder, depth int) (Array, error) {
	array := Array{}
	for decoder.More() {
		value, err := parse(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := decoder.Token()
	return array, err
}
