package jobs

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Base64 is the only encoding of a file's content besides plain text.
const Base64 = "base64"

type fileWire struct {
	Content  string `json:"content"`
	Encoding string `json:"encoding,omitempty"`
}

// MarshalJSON renders UTF-8 as text, other bytes as base64.
func (f File) MarshalJSON() ([]byte, error) {
	if utf8.Valid(f.Content) {
		return json.Marshal(fileWire{Content: string(f.Content)})
	}
	return json.Marshal(fileWire{base64.StdEncoding.EncodeToString(f.Content), Base64})
}

// UnmarshalJSON reads what MarshalJSON renders; the content of an empty file is nil.
func (f *File) UnmarshalJSON(data []byte) error {
	var wire fileWire
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	f.Content = nil
	switch {
	case wire.Content == "":
		return nil
	case wire.Encoding == "":
		f.Content = []byte(wire.Content)
		return nil
	case wire.Encoding == Base64:
		content, err := base64.StdEncoding.DecodeString(wire.Content)
		f.Content = content
		return err
	}
	return fmt.Errorf("unknown encoding %q of a file", wire.Encoding)
}
