package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-executor/executor/internal/config/frontendconfig"
	"github.com/open-executor/executor/internal/fault"
)

// TokenFile is the name of the file in the data directory that holds the jobs API's token when none was given.
const TokenFile = "api-token"

// apiTokenBytes is the length of a token that is made here, before it is written as hexadecimal.
const apiTokenBytes = 32

func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Operatorf("FRONTEND_DATA_DIR: %w", err)
	}
	return nil
}

// apiToken returns the configured token, or the one kept in the data directory, which it makes at first with mode 0600.
func apiToken(config frontendconfig.Config) (string, error) {
	if token := config.APIToken.Reveal(); token != "" {
		return token, nil
	}
	path := filepath.Join(config.DataDir, TokenFile)
	token, err := readToken(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeToken(path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			token, err = readToken(path)
		}
	}
	if err != nil {
		return "", fault.Operatorf("token of the jobs API: %w; mend the file or set FRONTEND_API_TOKEN", err)
	}
	return token, nil
}

func readToken(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s has mode %s; it must be a regular file that only its owner can read (chmod 600)", path, info.Mode())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", fmt.Errorf("%s is empty; delete it to have a new token made", path)
	}
	return token, nil
}

// makeToken writes a new token under a temporary name first, so that nobody ever reads half a token.
func makeToken(path string) error {
	var token [apiTokenBytes]byte
	if _, err := rand.Read(token[:]); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), TokenFile+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(hex.EncodeToString(token[:]) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	// Unlike a rename, a link does not replace a token that another process has just made.
	return os.Link(file.Name(), path)
}
