package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/open-executor/executor/dev/offline/rules_oci/internal/archive"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/ocidir"
	"github.com/open-executor/executor/dev/offline/rules_oci/internal/publish"
)

func writeTarball(_ context.Context, args []string, out io.Writer) error {
	var target, layout, tagsFile, file string
	flags := newFlags("tarball")
	flags.StringVar(&target, "target", "", "label of the target, for messages")
	flags.StringVar(&layout, "layout", "", "layout of the image")
	flags.StringVar(&tagsFile, "tags-file", "", "file with the image's names")
	flags.StringVar(&file, "out", "", "file to write; empty for the standard output")
	if err := parse(flags, args); err != nil {
		return err
	}
	err := func() error {
		tags, err := readWords(tagsFile)
		if err != nil {
			return fmt.Errorf("repo_tags: %w", err)
		}
		from, err := ocidir.Open(layout)
		if err != nil {
			return err
		}
		if file == "" {
			return writeBuffered(out, from, tags)
		}
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		return errors.Join(writeBuffered(f, from, tags), f.Close())
	}()
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}

func writeBuffered(out io.Writer, from *ocidir.Layout, tags []string) error {
	buffered := bufio.NewWriterSize(out, 1<<20)
	return errors.Join(archive.Write(buffered, from, tags), buffered.Flush())
}

// push takes, after the rule's own words, those of its user: the same as the real rules_oci, as far as they have a meaning here.
func push(ctx context.Context, args []string, out io.Writer) error {
	var (
		target, layout, repositoryFile, tagsFile string
		tags                                     list
		p                                        publish.Push
	)
	flags := newFlags("push")
	flags.StringVar(&target, "target", "", "label of the target, for messages")
	flags.StringVar(&layout, "layout", "", "layout of the image or index")
	flags.StringVar(&repositoryFile, "repository-file", "", "file with the repository")
	flags.StringVar(&tagsFile, "tags-file", "", "file with tags")
	for _, name := range []string{"r", "repository"} {
		flags.StringVar(&p.Repository, name, "", "repository")
	}
	for _, name := range []string{"t", "tag"} {
		flags.Var(&tags, name, "tag; may stand several times")
	}
	flags.BoolVar(&p.Insecure, "insecure", false, "allow plain HTTP")
	if err := parse(flags, args); err != nil {
		return fmt.Errorf("%s: %w (it takes -r or --repository, -t or --tag, --insecure)", target, err)
	}
	if p.Repository == "" && repositoryFile != "" {
		text, err := readText(repositoryFile)
		if err != nil {
			return fmt.Errorf("%s: repository_file: %w", target, err)
		}
		p.Repository = strings.ReplaceAll(text, "\n", "")
	}
	fromFile, err := readWords(tagsFile)
	if err != nil {
		return fmt.Errorf("%s: remote_tags: %w", target, err)
	}
	p.Tags = append(tags, fromFile...)
	if p.From, err = ocidir.Open(layout); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	if err := p.Run(ctx, out); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}
