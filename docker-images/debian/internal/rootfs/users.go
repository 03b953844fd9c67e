package rootfs

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/open-executor/executor/docker-images/debian/internal/definition"
)

// addUser adds a user, a group and a home. Nobody can log in by a password.
func (b *builder) addUser(user definition.User) error {
	for file, line := range map[string]string{
		"etc/passwd": fmt.Sprintf("%s:*:%d:%[2]d::%s:%s\n", user.Name, user.ID, user.Home, user.Shell),
		"etc/group":  fmt.Sprintf("%s:*:%d:\n", user.Name, user.ID),
	} {
		text, err := b.tree.read(file)
		if err != nil {
			return err
		}
		for old := range strings.Lines(string(text)) {
			fields := strings.Split(old, ":")
			if fields[0] == user.Name || len(fields) > 2 && fields[2] == fmt.Sprint(user.ID) {
				return fmt.Errorf("/%s has %q already", file, strings.TrimSpace(old))
			}
		}
		if err := b.tree.file("user "+user.Name, file, 0o644, append(bytes.Clone(text), line...)); err != nil {
			return err
		}
	}
	return b.tree.directory("user "+user.Name, strings.TrimPrefix(user.Home, "/"), 0o755, user.ID, user.ID)
}
