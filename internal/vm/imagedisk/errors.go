package imagedisk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/open-executor/executor/internal/fault"
)

// pullError says that the bytes of an image couldn't be had.
type pullError struct{ error }

func (e *pullError) Unwrap() error { return e.error }

// refused says that a registry knows or gives no such image.
func refused(err error) bool {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		return true
	}
	return false
}

// explain makes the error for a job's log out of err, which concerns ref.
func explain(ctx context.Context, ref string, err error) error {
	var pull *pullError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("image %s: %w", printable(ref), context.Cause(ctx))
	case !errors.As(err, &pull):
		return fmt.Errorf("image %s: %w", printable(ref), err)
	}
	class := fault.ClassOf(err)
	if refused(err) {
		class = fault.User
	}
	return fault.As(class, fmt.Errorf("image %s could not be pulled: %w", printable(ref), &words{err}))
}

// words is an error whose text is fit for a log: what registries answer can be anything.
type words struct{ error }

func (w *words) Error() string { return printable(w.error.Error()) }
func (w *words) Unwrap() error { return w.error }

func printable(text string) string {
	const most = 2 << 10
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.TrimSpace(text)
}

// withSpace adds to an error of making a disk where it was made and how much room is left there: a program may not say that the disk is full.
func withSpace(dir string, err error) error {
	if err == nil {
		return nil
	}
	var stat syscall.Statfs_t
	if statErr := syscall.Statfs(dir, &stat); statErr != nil {
		return fmt.Errorf("in %s: %w", dir, err)
	}
	free, all := uint64(stat.Bavail)*uint64(stat.Bsize), uint64(stat.Blocks)*uint64(stat.Bsize)
	advice := ""
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		advice = "; make room there or use another directory"
	}
	return fmt.Errorf("in %s, which has %d MiB of %d MiB free: %w%s", dir, free>>20, all>>20, err, advice)
}
