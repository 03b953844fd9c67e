package qemu

import (
	"encoding/binary"
	"os"
	"syscall"

	"github.com/open-executor/executor/internal/vm/network"
)

// firstUID is the first of 65536 uids that neither distributions nor systemd hand out (https://systemd.io/UIDS-GIDS).
const firstUID = 1_900_100_000

// credential is the user of a machine's monitor: none that has anything on this host, as a guest that breaks out of its monitor would be that
// user. Machines with a network get one each, by their address, which no two have at a time; those without share the first. It is nil, for the
// executor's own user, when that isn't root.
func credential(euid int, link *network.Link, accelerator string) *syscall.Credential {
	if euid != 0 {
		return nil
	}
	uid := uint32(firstUID)
	if link != nil && link.Guest.Addr().Is4() {
		address := link.Guest.Addr().As4()
		uid += uint32(binary.BigEndian.Uint16(address[2:]))
	}
	c := &syscall.Credential{Uid: uid, Gid: uid}
	if accelerator == kvm {
		if info, err := os.Stat("/dev/kvm"); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				c.Groups = []uint32{stat.Gid}
			}
		}
	}
	return c
}
