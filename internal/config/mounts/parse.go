package mounts

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/docker/go-units"
)

// ParseList reads mounts separated by semicolons. Blank elements are left out. Sources that begin with "./", or are ".", become
// absolute below workDir.
func ParseList(list, workDir string) ([]Mount, error) {
	elements := strings.Split(list, ";")
	if len(elements) == 1 && len(targetKeys.FindAllString(list, 2)) > 1 {
		return nil, errors.New("incorrect separator: several mounts in one, separate them with semicolons")
	}
	var mounts []Mount
	for i, element := range elements {
		element = strings.TrimSpace(element)
		if element == "" {
			continue
		}
		mount, err := Parse(element, workDir)
		if err != nil && len(elements) > 1 {
			return nil, fmt.Errorf("mount %d: %w", i+1, err)
		}
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, mount)
	}
	return mounts, nil
}

// targetKeys finds the keys of targets, but not the same words at the end of a path or as the key of a volume option.
var targetKeys = regexp.MustCompile(`(?i)(?:^|[^a-z0-9=/._-])(?:target|dst|destination)=`)

// Parse reads one mount: a CSV record of key=value fields, keys in any case. A repeated field counts by its last value.
func Parse(spec, workDir string) (Mount, error) {
	fields, err := split(spec)
	if err != nil {
		return Mount{}, err
	}
	mount := Mount{Type: Volume}
	var prefixed []string
	for _, field := range fields {
		key, err := mount.set(field, workDir)
		if err != nil {
			return Mount{}, err
		}
		if kind, _, ok := strings.Cut(key, "-"); ok && !slices.Contains(prefixed, kind) {
			prefixed = append(prefixed, kind)
		}
	}
	if mount.Target == "" {
		return Mount{}, errors.New("target is required")
	}
	for _, kind := range prefixed {
		if kind != mount.Type {
			return Mount{}, fmt.Errorf("cannot mix '%s-*' options with mount type '%s'", kind, mount.Type)
		}
	}
	return mount, nil
}

func split(spec string) ([]string, error) {
	if strings.ContainsFunc(spec, unicode.IsControl) {
		return nil, errors.New("a mount must be one line without control characters")
	}
	fields, err := csv.NewReader(strings.NewReader(spec)).Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("target is required")
	}
	if err != nil {
		return nil, fmt.Errorf("fields must be separated by commas and quoted as in CSV: %w", err)
	}
	return fields, nil
}

// set applies one field and returns its key in lower case.
func (m *Mount) set(field, workDir string) (string, error) {
	key, value, hasValue := strings.Cut(field, "=")
	key = strings.ToLower(key)
	if flag := m.flag(key); flag != nil {
		return key, setFlag(flag, key, value, hasValue)
	}
	if !hasValue {
		return "", fmt.Errorf("invalid field '%s' must be a key=value pair", field)
	}
	var err error
	switch key {
	case "type":
		m.Type, err = oneOf(key, value, Bind, Volume, Tmpfs, "npipe", "cluster", "image")
	case "source", "src":
		m.Source = absolute(value, workDir)
	case "target", "dst", "destination":
		m.Target = value
	case "consistency":
		m.Consistency, err = oneOf(key, value, "default", "consistent", "cached", "delegated")
	case "bind-propagation":
		m.BindPropagation, err = oneOf(key, value, "private", "rprivate", "shared", "rshared", "slave", "rslave")
	case "volume-label":
		m.VolumeLabels, err = withPair(m.VolumeLabels, key, value)
	case "volume-driver":
		m.VolumeDriver = value
	case "volume-opt":
		m.VolumeOpts, err = withPair(m.VolumeOpts, key, value)
	case "tmpfs-size":
		m.TmpfsSize, err = parsed(key, value, parseSize)
	case "tmpfs-mode":
		m.TmpfsMode, err = parsed(key, value, parseMode)
	default:
		return "", fmt.Errorf("unexpected key '%s' in '%s'", key, field)
	}
	return key, err
}

// flag returns the member of a field that may stand without a value.
func (m *Mount) flag(key string) *bool {
	switch key {
	case "readonly", "ro":
		return &m.ReadOnly
	case "bind-nonrecursive":
		return &m.BindNonRecursive
	case "volume-nocopy":
		return &m.VolumeNoCopy
	}
	return nil
}

func setFlag(flag *bool, key, value string, hasValue bool) error {
	if !hasValue {
		*flag = true
		return nil
	}
	set, err := parsed(key, value, strconv.ParseBool)
	*flag = set
	return err
}

func parsed[T any](key, value string, parser func(string) (T, error)) (T, error) {
	result, err := parser(value)
	if err != nil {
		return result, invalid(key, value)
	}
	return result, nil
}

func parseSize(value string) (int64, error) {
	size, err := units.RAMInBytes(value)
	if err == nil && size < 0 {
		err = strconv.ErrRange
	}
	return size, err
}

func parseMode(value string) (uint32, error) {
	mode, err := strconv.ParseUint(value, 8, 12)
	return uint32(mode), err
}

func oneOf(key, value string, allowed ...string) (string, error) {
	lower := strings.ToLower(value)
	if !slices.Contains(allowed, lower) {
		return "", invalid(key, value)
	}
	return lower, nil
}

// withPair adds key=value, in the place of an earlier pair of that key. A pair without "=" has an empty value.
func withPair(pairs []Pair, option, pair string) ([]Pair, error) {
	key, value, _ := strings.Cut(pair, "=")
	if key == "" {
		return nil, invalid(option, pair)
	}
	if at := slices.IndexFunc(pairs, func(pair Pair) bool { return pair.Key == key }); at >= 0 {
		pairs[at].Value = value
		return pairs, nil
	}
	return append(pairs, Pair{key, value}), nil
}

func absolute(source, workDir string) string {
	if source == "." || strings.HasPrefix(source, "./") {
		return filepath.Join(workDir, source)
	}
	return source
}

func invalid(key, value string) error { return fmt.Errorf("invalid value for %s: %s", key, value) }
