package network

import (
	"crypto/sha256"
	"encoding/base32"
	"net"
	"strconv"
	"strings"
)

// tapPrefix begins the name of every executor's taps, so that an operator can write a rule for all of them.
const tapPrefix = "exvm"

// hashSize is the number of letters by which executors on one host differ: 30 bits, with names that still fit a device's 15 bytes.
const hashSize = 6

// names are what an executor's things on the host are called.
type names struct {
	hash [sha256.Size]byte
	// table is the name of the nftables tables, taps what the taps' names begin with.
	table, taps string
}

func namesOf(executor string) names {
	hash := sha256.Sum256([]byte(executor))
	short := strings.ToLower(base32.StdEncoding.EncodeToString(hash[:]))[:hashSize]
	return names{hash: hash, table: "executor_" + short, taps: tapPrefix + short}
}

// TapPrefix begins the names of an executor's taps.
func TapPrefix(executor string) string { return namesOf(executor).taps }

// tap is the name of the tap of a slot.
func (n names) tap(slot int) string { return n.taps + strconv.Itoa(slot) }

// owns says whether a device's name is one that tap makes.
func (n names) owns(device string) bool {
	slot, ok := strings.CutPrefix(device, n.taps)
	if !ok {
		return false
	}
	number, err := strconv.ParseUint(slot, 10, 16)
	return err == nil && strconv.FormatUint(number, 10) == slot
}

// macs are the hardware addresses of both ends: locally administered, and fixed, so that no daemon of the host gives the tap another one.
func (n names) macs(slot int) (guest, host net.HardwareAddr) {
	tail := []byte{n.hash[0], n.hash[1], n.hash[2], byte(slot >> 8), byte(slot)}
	return append(net.HardwareAddr{0x02}, tail...), append(net.HardwareAddr{0x06}, tail...)
}
