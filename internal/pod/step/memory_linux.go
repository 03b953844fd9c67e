package step

import (
	"os"
	"strconv"
	"strings"
)

// memoryEvents are where the kernel counts the processes that it killed for want of memory, by control groups of version 2 and 1 (Linux,
// Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
var memoryEvents = []string{"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}

// oomKills is how many processes of the container the kernel has killed; 0 where it doesn't tell.
func oomKills() int64 {
	for _, path := range memoryEvents {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if value, found := strings.CutPrefix(line, "oom_kill "); found {
				kills, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
				if err == nil {
					return kills
				}
			}
		}
	}
	return 0
}
