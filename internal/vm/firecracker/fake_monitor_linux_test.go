package firecracker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// monitor stands in for Firecracker: it answers as its API does, and refuses what its API refuses.
type monitor struct {
	// root is where its "/" is.
	root     string
	behavior behavior
	// serveVsock is called with the listener of the vsock, and boot, when the guest starts.
	serveVsock func(net.Listener)
	boot       func(m *monitor)

	mu                                 sync.Mutex
	machine, bootable, started, paused bool
	configured                         bool // with more than a logger
	drives                             map[string]*os.File
	readOnly                           map[string]bool
	interfaces                         map[string]string
	vsock                              net.Listener
}

func newMonitor(root string) *monitor {
	return &monitor{root: root, drives: map[string]*os.File{}, readOnly: map[string]bool{}, interfaces: map[string]string{}}
}

// maxBody is the default of Firecracker's --http-api-max-payload-size.
const maxBody = 51200

func (m *monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + r.URL.Path
	m.behavior.tell(call)
	switch call {
	case m.behavior.Die:
		fmt.Println("dying at", call)
		os.Exit(1)
	case m.behavior.Hang:
		<-r.Context().Done()
		return
	case m.behavior.Flood:
		w.WriteHeader(http.StatusBadRequest)
		for {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<10)); err != nil {
				return
			}
		}
	case m.behavior.Refuse:
		refuse(w, errors.New("refused on purpose"))
		return
	}
	if err := m.serve(r); err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"fault_message": err.Error()})
}

func (m *monitor) serve(r *http.Request) error {
	op, id, err := find(r.Method, r.URL.Path)
	if err != nil {
		return err
	}
	// Firecracker's server knows no chunks.
	if r.ContentLength <= 0 || r.ContentLength > maxBody || len(r.TransferEncoding) != 0 {
		return fmt.Errorf("the body has %d bytes, encoded %v", r.ContentLength, r.TransferEncoding)
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	body, err := op.parse(content, id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case op.phase == beforeStart && m.started:
		return errors.New("the machine has started")
	case op.phase == afterStart && !m.started:
		return errors.New("the machine has not started")
	}
	err = m.act(r.Method+" /"+strings.Split(r.URL.Path, "/")[1], r.URL.Path, id, body)
	if err == nil && op.phase == beforeStart {
		m.configured = true
	}
	return err
}

func (m *monitor) act(what, path, id string, body map[string]any) (err error) {
	switch what {
	case "PUT /machine-config":
		m.machine = true
	case "PUT /boot-source":
		m.bootable, err = true, m.readable(body, "kernel_image_path", "initrd_path")
	case "PUT /drives":
		return m.putDrive(id, body)
	case "PATCH /drives":
		return m.patchDrive(id, body)
	case "PUT /network-interfaces":
		m.interfaces[id] = body["host_dev_name"].(string)
		return validTap(m.interfaces[id])
	case "PUT /vsock":
		m.vsock, err = net.Listen("unix", m.path(body["uds_path"].(string)))
	case "PUT /actions":
		if body["action_type"] == "InstanceStart" {
			return m.start()
		}
	case "PATCH /vm":
		m.paused = body["state"] == "Paused"
	case "PUT /snapshot":
		if path == "/snapshot/create" {
			return m.save(body)
		}
		return m.load(body)
	}
	return err
}

func (m *monitor) path(inside string) string {
	return filepath.Join(m.root, filepath.Clean("/"+inside))
}

func (m *monitor) readable(body map[string]any, names ...string) error {
	for _, name := range names {
		path, ok := body[name].(string)
		if !ok {
			continue
		}
		file, err := os.Open(m.path(path))
		if err != nil {
			return err
		}
		_ = file.Close()
	}
	return nil
}

func (m *monitor) putDrive(id string, body map[string]any) error {
	path, ok := body["path_on_host"].(string)
	readOnly, said := body["is_read_only"].(bool)
	if !ok || !said {
		return errors.New("a drive with a file needs path_on_host and is_read_only")
	}
	m.readOnly[id] = readOnly
	return m.openDrive(id, path)
}

func (m *monitor) patchDrive(id string, body map[string]any) error {
	if m.drives[id] == nil {
		return fmt.Errorf("there is no drive %s", id)
	}
	path, ok := body["path_on_host"].(string)
	if !ok {
		return nil
	}
	return m.openDrive(id, path)
}

func (m *monitor) openDrive(id, path string) error {
	flags := os.O_RDWR
	if m.readOnly[id] {
		flags = os.O_RDONLY
	}
	file, err := os.OpenFile(m.path(path), flags, 0)
	if err != nil {
		return err
	}
	if old := m.drives[id]; old != nil {
		_ = old.Close()
	}
	m.drives[id] = file
	return nil
}

func (m *monitor) start() error {
	switch {
	case m.started:
		return errors.New("the machine has started")
	case !m.machine:
		return errors.New("there is no machine configuration") // Firecracker has a default, which nobody wants
	case !m.bootable:
		return errors.New("there is no boot source")
	}
	m.run()
	return nil
}

func (m *monitor) run() {
	m.started = true
	if m.vsock != nil && m.serveVsock != nil {
		go m.serveVsock(m.vsock)
	}
	if m.boot != nil {
		m.boot(m)
	}
}

// saved is what the fake's snapshots have in them.
type saved struct {
	Drives     map[string]string `json:"drives"`
	ReadOnly   map[string]bool   `json:"readOnly"`
	Interfaces map[string]string `json:"interfaces"`
	Vsock      string            `json:"vsock"`
}

func (m *monitor) save(body map[string]any) error {
	if !m.paused {
		return errors.New("the machine is not paused")
	}
	state := saved{Drives: map[string]string{}, ReadOnly: m.readOnly, Interfaces: m.interfaces, Vsock: m.inside(m.vsock.Addr().String())}
	for id, file := range m.drives {
		state.Drives[id] = m.inside(file.Name())
	}
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(m.path(body["snapshot_path"].(string)), content, 0o644),
		os.WriteFile(m.path(body["mem_file_path"].(string)), []byte("the guest's memory"), 0o644),
	)
}

func (m *monitor) inside(path string) string {
	return "/" + strings.TrimLeft(strings.TrimPrefix(path, m.root), "/")
}

func (m *monitor) load(body map[string]any) error {
	backend, ok := body["mem_backend"].(map[string]any)
	_, old := body["mem_file_path"]
	switch {
	case m.configured:
		return errors.New("the machine is configured")
	case ok == old:
		return errors.New("either mem_backend or mem_file_path is needed")
	}
	if err := errors.Join(m.readable(body, "snapshot_path", "mem_file_path"), m.readable(backend, "backend_path")); err != nil {
		return err
	}
	content, err := os.ReadFile(m.path(body["snapshot_path"].(string)))
	if err != nil {
		return err
	}
	var state saved
	if err := json.Unmarshal(content, &state); err != nil {
		return err
	}
	m.readOnly, m.interfaces = state.ReadOnly, state.Interfaces
	for id, path := range state.Drives {
		if err := m.openDrive(id, path); err != nil {
			return err
		}
	}
	overrides, _ := body["network_overrides"].([]any)
	for _, override := range overrides {
		change := override.(map[string]any)
		id := change["iface_id"].(string)
		if _, ok := m.interfaces[id]; !ok {
			return fmt.Errorf("there is no interface %s", id)
		}
		m.interfaces[id] = change["host_dev_name"].(string)
		m.behavior.tell("tap " + m.interfaces[id])
	}
	if m.vsock, err = net.Listen("unix", m.path(state.Vsock)); err != nil {
		return err
	}
	m.paused = body["resume_vm"] != true
	m.run()
	return nil
}

// validTap checks a device's name as the kernel does.
func validTap(name string) error {
	if name == "" || len(name) > 15 || strings.ContainsAny(name, "/ ") {
		return fmt.Errorf("%q is no name of a device", name)
	}
	return nil
}
