package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/open-executor/executor/internal/vm"
	"github.com/open-executor/executor/internal/vm/console"
)

// instance is one machine.
type instance struct {
	cmd *exec.Cmd
	// monitor speaks over control.
	monitor          *monitor
	control, channel *net.UnixConn
	console          console.Tail
	// said is what the program prints, which it does when something is wrong.
	said console.Tail

	swapping vm.Swapping
	// drives count the files that stood behind each drive so far.
	drives []int

	done chan struct{}
}

var _ vm.Instance = (*instance)(nil)

// watch follows the console and the process to their ends.
func (i *instance) watch(from net.Conn) {
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(&i.console, from) // ends with the process
	}()
	go func() {
		_ = i.cmd.Wait() // how it ended shows in what it said
		_ = from.Close()
		<-copied
		_ = i.channel.Close()
		_ = i.control.Close()
		close(i.done)
	}()
}

func (i *instance) Channel() net.Conn     { return i.channel }
func (i *instance) Console() []byte       { return append(i.console.Bytes(), i.said.Bytes()...) }
func (i *instance) Done() <-chan struct{} { return i.done }

// Close implements vm.Instance.
func (i *instance) Close() error {
	if err := i.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing QEMU: %w", err)
	}
	<-i.done
	return nil
}

// Swap implements vm.Instance: the node that the device holds on to gets another file below it (blockdev-reopen; docs/interop/qemu-qmp-ref).
func (i *instance) Swap(ctx context.Context, drive int, file *os.File) error {
	return i.swapping.Do(ctx, drive, len(i.drives), func(ctx context.Context) error { return i.swap(ctx, drive, file) })
}

func (i *instance) swap(ctx context.Context, drive int, file *os.File) error {
	i.drives[drive]++
	node := fileNode(drive, i.drives[drive])
	answer, err := i.monitor.do(ctx, "add-fd", nil, file)
	if err != nil {
		return err
	}
	var added struct {
		Set int `json:"fdset-id"`
	}
	if err := json.Unmarshal(answer, &added); err != nil {
		return err
	}
	readOnly, err := vm.IsReadOnly(file)
	if err != nil {
		return err
	}
	_, err = i.monitor.do(ctx, "blockdev-add", map[string]any{
		"driver": "file", "node-name": node, "filename": fmt.Sprintf("/dev/fdset/%d", added.Set), "read-only": readOnly, "locking": "off",
		"discard": "unmap", "cache": map[string]any{"no-flush": true},
	}, nil)
	if err != nil {
		return err
	}
	_, err = i.monitor.do(ctx, "blockdev-reopen", map[string]any{"options": []any{map[string]any{
		"driver": "raw", "node-name": nodeOf(drive), "read-only": readOnly, "discard": "unmap", "file": node,
	}}}, nil)
	if err != nil {
		return err
	}
	// The node holds the file by now: the set is only how it came in.
	_, err = i.monitor.do(ctx, "remove-fd", map[string]any{"fdset-id": added.Set}, nil)
	return err
}
