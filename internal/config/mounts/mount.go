// Package mounts reads and writes the mini language of EXECUTOR_DOCKER_ADDITIONAL_MOUNTS (spec section 2.2): mounts
// separated by semicolons, each in the syntax of `docker run --mount`. What is read can be written again without loss.
package mounts

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
)

// Types of mounts. Options that begin with a type's name fit that type only.
const (
	Bind   = "bind"
	Volume = "volume"
	Tmpfs  = "tmpfs"
)

// Mount is one mount. Members that are zero were not given, or given as their default.
type Mount struct {
	// Type is one of bind, volume, tmpfs, npipe, cluster, image.
	Type string
	// Source is an absolute host path for a bind mount, else a name; empty for an anonymous volume and for tmpfs.
	Source string
	// Target is the path in the container.
	Target   string
	ReadOnly bool
	// Consistency is one of default, consistent, cached, delegated.
	Consistency string

	// BindPropagation is one of private, rprivate, shared, rshared, slave, rslave.
	BindPropagation  string
	BindNonRecursive bool

	VolumeNoCopy bool
	VolumeLabels []Pair
	VolumeDriver string
	VolumeOpts   []Pair

	// TmpfsSize is in bytes; 0 is unbounded.
	TmpfsSize int64
	// TmpfsMode holds permission bits, the sticky bit included; 0 stands for Docker's default, 1777.
	TmpfsMode uint32
}

// Pair is one key=value of a volume option. Keys are unique within an option.
type Pair struct{ Key, Value string }

// String returns the mount as the value of one --mount argument. It holds every option that the mount has, the spec's order
// first; Parse of it gives an equal mount.
func (m Mount) String() string {
	fields := []string{"type=" + m.Type}
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, key+"="+value)
		}
	}
	flag := func(key string, set bool) {
		if set {
			fields = append(fields, key)
		}
	}
	pairs := func(key string, pairs []Pair) {
		for _, pair := range pairs {
			fields = append(fields, key+"="+pair.Key+"="+pair.Value)
		}
	}
	add("source", m.Source)
	add("target", m.Target)
	flag("readonly", m.ReadOnly)
	add("consistency", m.Consistency)
	add("bind-propagation", m.BindPropagation)
	flag("bind-nonrecursive", m.BindNonRecursive)
	flag("volume-nocopy", m.VolumeNoCopy)
	pairs("volume-label", m.VolumeLabels)
	add("volume-driver", m.VolumeDriver)
	pairs("volume-opt", m.VolumeOpts)
	if m.TmpfsSize != 0 {
		add("tmpfs-size", strconv.FormatInt(m.TmpfsSize, 10))
	}
	if m.TmpfsMode != 0 {
		add("tmpfs-mode", fmt.Sprintf("%#o", m.TmpfsMode))
	}
	return record(fields)
}

// record joins fields by commas, quoting those that need it the way Docker reads them.
func record(fields []string) string {
	var line strings.Builder
	writer := csv.NewWriter(&line)
	// A strings.Builder never fails.
	_ = writer.Write(fields)
	writer.Flush()
	return strings.TrimSuffix(line.String(), "\n")
}
