package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/open-executor/executor/dev/imagetest/schema"
)

const (
	// maxContent bounds the files that are looked into.
	maxContent = 16 << 20
	// maxLinks is how many links in a row are followed.
	maxLinks = 40
)

func (r Runner) existence(ctx context.Context, f *schema.File, e schema.Existence, result *Result) {
	s, err := r.begin(ctx, f)
	if err != nil {
		result.fail("%v", why(ctx, err))
		return
	}
	at := expand(e.Path, s.config.Env)
	file, err := r.Engine.File(ctx, r.Image, at)
	switch {
	case errors.Is(err, ErrNoFile):
		if e.ShouldExist {
			result.fail("%s doesn't exist", at)
		}
		return
	case err != nil:
		result.fail("%v", why(ctx, err))
		return
	}
	defer func() { _ = file.Close() }()
	if !e.ShouldExist {
		result.fail("%s exists and should not", at)
		return
	}
	if e.Permissions != "" && file.Mode.String() != e.Permissions {
		result.fail("%s has permissions %s, want %s", at, file.Mode, e.Permissions)
	}
	if bits := executable[e.ExecutableBy]; bits != 0 && file.Mode&bits == 0 {
		result.fail("%s is not executable by %s: its permissions are %s", at, e.ExecutableBy, file.Mode)
	}
	if e.UID != -1 && file.UID != e.UID {
		result.fail("%s belongs to user %d, want %d", at, file.UID, e.UID)
	}
	if e.GID != -1 && file.GID != e.GID {
		result.fail("%s belongs to group %d, want %d", at, file.GID, e.GID)
	}
}

// executable are the permissions of which one is enough.
var executable = map[string]os.FileMode{"any": 0o111, "owner": 0o100, "group": 0o010, "other": 0o001}

func (r Runner) content(ctx context.Context, c schema.Content, result *Result) {
	text, err := r.read(ctx, c.Path)
	if err != nil {
		result.fail("%v", why(ctx, err))
		return
	}
	match(result, c.Path, text, c.Expected, c.Excluded)
}

// read returns the content of a file, to which links may lead.
func (r Runner) read(ctx context.Context, name string) (string, error) {
	at := name
	for range maxLinks {
		text, linkTo, err := r.readOnce(ctx, at)
		if errors.Is(err, ErrNoFile) {
			return "", fmt.Errorf("%s doesn't exist", through(name, at))
		}
		if err != nil || linkTo == "" {
			return text, err
		}
		if !path.IsAbs(linkTo) {
			linkTo = path.Join(path.Dir(at), linkTo)
		}
		at = linkTo
	}
	return "", fmt.Errorf("%s: more than %d links in a row", name, maxLinks)
}

func (r Runner) readOnce(ctx context.Context, at string) (text, linkTo string, err error) {
	file, err := r.Engine.File(ctx, r.Image, at)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = file.Close() }()
	switch {
	case file.Mode&fs.ModeSymlink != 0:
		return "", file.LinkTo, nil
	case !file.Mode.IsRegular():
		return "", "", fmt.Errorf("%s is no file: its mode is %s", at, file.Mode)
	case file.Size > maxContent:
		return "", "", fmt.Errorf("%s has %d bytes, more than the %d that are looked into", at, file.Size, maxContent)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxContent))
	return string(content), "", err
}

func through(name, at string) string {
	if name == at {
		return name
	}
	return fmt.Sprintf("%s, to which %s leads,", at, name)
}
