package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

const (
	nftProgram = "nft"
	nftTime    = 10 * time.Second
)

// nft runs a script as one transaction, and returns what it prints.
func nft(ctx context.Context, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, nftTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, nftProgram, "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	return runNFT(ctx, cmd)
}

// nftList runs "nft ARGS list …", which changes nothing.
func nftList(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, nftTime)
	defer cancel()
	return runNFT(ctx, exec.CommandContext(ctx, nftProgram, args...))
}

func runNFT(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", fault.Operatorf("the program nft is not on the PATH (%w): install nftables, without which machines get no network", err)
	case ctx.Err() != nil:
		return "", fmt.Errorf("nft did not end in time: %w", context.Cause(ctx))
	}
	said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n") // the first complaint; below it stands the script's line
	return "", fmt.Errorf("nft: %w: %s", err, said[:min(len(said), 1<<10)])
}

// presentTables returns which of the families hold a table of that name.
func presentTables(ctx context.Context, name string) ([]string, error) {
	listed, err := nftList(ctx, "list", "tables")
	if err != nil {
		return nil, fmt.Errorf("looking for nftables table %s: %w", name, err)
	}
	return tablesIn(listed, name), nil
}

func tablesIn(listed, name string) []string {
	var families []string
	for line := range strings.Lines(listed) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "table" && fields[2] == name {
			families = append(families, fields[1])
		}
	}
	return families
}
