package jobfile

import (
	"encoding/base64"
	"path"
	"strings"

	"github.com/open-executor/executor/internal/api/jobs"
)

func (r *reader) files(p place, repository *jobs.Repository) map[string]jobs.File {
	entries, _ := r.entries(p, "a mapping of paths to contents")
	var files map[string]jobs.File
	places := make(map[string]place)
	for _, e := range entries {
		content, contentOK := r.content(e.value)
		name, ok := r.filePath(e.named, e.name)
		if !ok {
			continue
		}
		if before, ok := places[name]; ok {
			r.fail(e.named, "is the same file as on line %d", before.node.line)
			continue
		}
		places[name] = e.named
		if files == nil {
			files = make(map[string]jobs.File)
		}
		if contentOK {
			files[name] = file(content)
		}
	}
	for name, at := range places {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if file, ok := places[dir]; ok {
				r.fail(at, "lies below %s, which is a file (line %d)", quote(dir), file.node.line)
			}
		}
		if repository != nil && repository.Directory != "" && strings.HasPrefix(repository.Directory+"/", name+"/") {
			r.fail(at, "is where repository.directory puts the clone")
		}
	}
	return files
}

// file keeps one form for the empty file, the one that the API's JSON reads back as.
func file(content []byte) jobs.File {
	if len(content) == 0 {
		return jobs.File{}
	}
	return jobs.File{Content: content}
}

func (r *reader) filePath(p place, text string) (string, bool) {
	if strings.HasSuffix(text, "/") {
		r.fail(p, "names a directory: files are written, with the directories above them")
		return "", false
	}
	name, ok := r.cleanPath(p, text)
	if ok && name == "" {
		r.fail(p, "is the workspace itself: wants a file's path")
		return "", false
	}
	if ok && (name == reservedDir || strings.HasPrefix(name, reservedDir+"/")) {
		r.fail(p, "%s is reserved for the executor's own scripts", reservedDir)
		return "", false
	}
	return name, ok
}

// directory reads a path of a directory; the workspace itself is "".
func (r *reader) directory(p place) (string, bool) {
	text, ok := r.text(p)
	if !ok {
		return "", false
	}
	return r.cleanPath(p, text)
}

// cleanPath checks a slash-separated path relative to the workspace.
func (r *reader) cleanPath(p place, text string) (string, bool) {
	switch {
	case strings.HasPrefix(text, "/"):
		r.fail(p, "%s is absolute: paths are relative to the workspace", quote(text))
	case strings.ContainsAny(text, "\x00\r\n"):
		r.fail(p, "%s has a line break or NUL in it", quote(text))
	case len(text) > maxPath:
		r.fail(p, "the path has %d bytes, at most %d are allowed", len(text), maxPath)
	default:
		for segment := range strings.SplitSeq(text, "/") {
			if segment == ".." {
				r.fail(p, "%s has \"..\" in it: paths stay inside the workspace", quote(text))
				return "", false
			}
			if len(segment) > maxName {
				r.fail(p, "%s has a name of %d bytes, at most %d are allowed", quote(text), len(segment), maxName)
				return "", false
			}
		}
		if cleaned := path.Clean(text); cleaned != "." {
			return cleaned, true
		}
		return "", true
	}
	return "", false
}

// content reads a file's content: text, or {content: …, encoding: base64}.
func (r *reader) content(p place) ([]byte, bool) {
	if p.node.kind == scalar {
		return r.plainContent(p)
	}
	m, ok := r.members(p, "text, or a mapping with content", "content", "encoding")
	if !ok {
		return nil, false
	}
	content, ok := m["content"]
	if !ok {
		r.missing(p, m, "has no content")
		return nil, false
	}
	encoding, ok := m["encoding"]
	if !ok {
		return r.plainContent(content)
	}
	switch name, ok := r.text(encoding); {
	case !ok:
		return nil, false
	case name != "base64":
		r.fail(encoding, "%s is no known encoding: wants base64, or leave it out for text", quote(name))
		return nil, false
	}
	text, ok := r.text(content)
	if !ok {
		return nil, false
	}
	// Encoders break lines; white space means nothing in base64.
	decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		r.fail(content, "is not base64 (standard alphabet, padded): %s", err)
		return nil, false
	}
	return decoded, true
}

// plainContent is text, and unlike other texts may hold NUL.
func (r *reader) plainContent(p place) ([]byte, bool) {
	if p.node.kind == scalar && p.node.typ != typeNull {
		return []byte(p.node.text), true
	}
	_, ok := r.text(p)
	return nil, ok
}
