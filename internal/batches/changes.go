package batches

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Changes are files by what happened to them; renamed ones by their new name.
type Changes struct {
	Modified []string `json:"modified"`
	Added    []string `json:"added"`
	Deleted  []string `json:"deleted"`
	Renamed  []string `json:"renamed"`
}

// MarshalJSON writes empty lists as such, not as null.
func (c Changes) MarshalJSON() ([]byte, error) {
	type plain Changes // without this method
	filled := plain(c)
	for _, list := range []*[]string{&filled.Modified, &filled.Added, &filled.Deleted, &filled.Renamed} {
		if *list == nil {
			*list = []string{}
		}
	}
	return json.Marshal(filled)
}

const (
	headerStart = "diff --git "
	devNull     = "/dev/null"
)

// ChangesIn lists the files of a diff that git has made with --no-prefix. A file of which the kind changes stands there twice, as
// deleted and as added.
func ChangesIn(diff []byte) (Changes, error) {
	var (
		changes Changes
		file    *fileDiff
	)
	flush := func() error {
		if file == nil {
			return nil
		}
		return file.addTo(&changes)
	}
	for raw := range bytes.Lines(diff) {
		line := string(bytes.TrimSuffix(raw, []byte("\n")))
		// No line of a hunk or of a binary patch begins like this.
		if header, ok := strings.CutPrefix(line, headerStart); ok {
			if err := flush(); err != nil {
				return Changes{}, err
			}
			file = &fileDiff{header: header}
			continue
		}
		if file == nil {
			return Changes{}, fmt.Errorf("a diff of git's begins with %q, this one with %.80q", headerStart, line)
		}
		if err := file.read(line); err != nil {
			return Changes{}, err
		}
	}
	return changes, flush()
}

// fileDiff is one file's part of a diff.
type fileDiff struct {
	// header is what follows "diff --git ": the two names.
	header   string
	old, new string
	// inBody is true behind the header's lines.
	inBody         bool
	added, deleted bool
}

// read takes one line behind the first.
func (f *fileDiff) read(line string) (err error) {
	if f.inBody {
		return nil
	}
	for prefix, name := range map[string]*string{"rename from ": &f.old, "rename to ": &f.new, "copy to ": &f.new, "--- ": &f.old, "+++ ": &f.new} {
		if text, ok := strings.CutPrefix(line, prefix); ok {
			*name, err = unquote(text)
			return err
		}
	}
	switch {
	case strings.HasPrefix(line, "new file mode "), strings.HasPrefix(line, "copy from "):
		f.added = true
	case strings.HasPrefix(line, "deleted file mode "):
		f.deleted = true
	case strings.HasPrefix(line, "@@ "), strings.HasPrefix(line, "GIT binary patch"):
		f.inBody = true
	}
	return nil
}

func (f *fileDiff) addTo(changes *Changes) error {
	if f.old == "" && f.new == "" { // binary, empty, or only its mode has changed
		name, err := sameName(f.header)
		if err != nil {
			return err
		}
		f.old, f.new = name, name
	}
	switch {
	case f.deleted || f.new == devNull:
		changes.Deleted = append(changes.Deleted, f.old)
	case f.added || f.old == devNull:
		changes.Added = append(changes.Added, f.new)
	case f.old == f.new:
		changes.Modified = append(changes.Modified, f.new)
	default:
		changes.Renamed = append(changes.Renamed, f.new)
	}
	return nil
}

// sameName returns the name of "NAME NAME".
func sameName(header string) (string, error) {
	middle := len(header) / 2
	if len(header)%2 == 0 || header[middle] != ' ' || header[:middle] != header[middle+1:] {
		return "", fmt.Errorf("the diff's line %.200q doesn't have one name twice", headerStart+header)
	}
	return unquote(header[:middle])
}

// unquote returns the name that git wrote: in quotes if it has unusual bytes, with a tab behind it if it has spaces.
func unquote(text string) (string, error) {
	text = strings.TrimSuffix(text, "\t")
	if !strings.HasPrefix(text, `"`) {
		return text, nil
	}
	name, err := strconv.Unquote(text)
	if err != nil {
		return "", fmt.Errorf("the name %.200s in the diff: %w", text, err)
	}
	return name, nil
}
