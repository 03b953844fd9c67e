// Package publish pushes a layout's image or index to a registry: by its digest first, then under its tags, so that a tag never names
// something that is half there.
package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
)

// Push is what an oci_push target says, with the words of its command line.
type Push struct {
	From       *ocidir.Layout
	Repository string
	Tags       []string
	// Insecure allows plain HTTP to registries that are not on this machine.
	Insecure bool
	// Keychain finds credentials; the default is that of the docker client.
	Keychain authn.Keychain
}

// Run pushes and tells out every name under which the image can be had now.
func (p Push) Run(ctx context.Context, out io.Writer) error {
	options := p.options()
	if p.Repository == "" {
		return errors.New("repository is not set: give the attribute repository or repository_file, or pass --repository")
	}
	if strings.Contains(p.Repository, "@") {
		return fmt.Errorf("repository %q must not have a digest", p.Repository)
	}
	repository, err := name.NewRepository(p.Repository, options...)
	if err != nil {
		return fmt.Errorf("repository %q (it must have no tag): %w", p.Repository, err)
	}
	var tags []name.Tag
	for _, word := range p.Tags {
		tag, err := name.NewTag(repository.Name()+":"+word, options...)
		if err != nil {
			return fmt.Errorf("tag %q: %w", word, err)
		}
		tags = append(tags, tag)
	}
	what, digest, err := artifact(p.From)
	if err != nil {
		return err
	}
	keychain := p.Keychain
	if keychain == nil {
		keychain = authn.DefaultKeychain
	}
	how := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain)}
	to := repository.Digest(digest.String())
	if err := remote.Push(to, what, how...); err != nil {
		return fmt.Errorf("pushing %s: %w", to, err)
	}
	_, _ = fmt.Fprintln(out, to)
	for _, tag := range tags {
		if err := remote.Tag(tag, what, how...); err != nil {
			return fmt.Errorf("tagging %s as %s: %w", to, tag.TagStr(), err)
		}
		_, _ = fmt.Fprintln(out, tag)
	}
	return nil
}

func (p Push) options() []name.Option {
	if p.Insecure {
		return []name.Option{name.Insecure}
	}
	return nil
}
