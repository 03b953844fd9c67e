package firecracker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// kind is a type of JSON, as the API's description names it.
type kind string

const (
	text    kind = "string"
	integer kind = "integer"
	boolean kind = "boolean"
	object  kind = "object"
	list    kind = "array"
)

// field is one member of an object.
type field struct {
	kind     kind
	required bool
	// values are all that are allowed; nil for any.
	values []string
	// min and max bound an integer; equal for no bounds.
	min, max float64
	// of describes an object, or the objects of a list.
	of schema
}

type schema map[string]field

// phase is when an operation is allowed.
type phase int

const (
	always phase = iota
	beforeStart
	afterStart
)

type operation struct {
	phase phase
	body  schema
	// id is the member that repeats the last part of the path, where the path has an id.
	id string
}

const noLimit = 1 << 53

var bucket = schema{
	"size":           {kind: integer, required: true, min: 0, max: noLimit},
	"refill_time":    {kind: integer, required: true, min: 0, max: noLimit},
	"one_time_burst": {kind: integer, min: 0, max: noLimit},
}

var limiter = field{kind: object, of: schema{"bandwidth": {kind: object, of: bucket}, "ops": {kind: object, of: bucket}}}

// operations is the part of the API of Firecracker 1.12 that a driver has use for, from its published description
// (src/firecracker/swagger/firecracker.yaml) and, where that is loose, from what its parser does. A star stands for an id.
var operations = map[string]operation{
	"PUT /logger": {body: schema{
		"level":           {kind: text, values: []string{"Error", "Warning", "Info", "Debug", "Trace", "Off"}},
		"log_path":        {kind: text},
		"show_level":      {kind: boolean},
		"show_log_origin": {kind: boolean},
		"module":          {kind: text},
	}},
	"PUT /machine-config": {phase: beforeStart, body: schema{
		"vcpu_count":        {kind: integer, required: true, min: 1, max: 32},
		"mem_size_mib":      {kind: integer, required: true, min: 1, max: noLimit},
		"smt":               {kind: boolean},
		"track_dirty_pages": {kind: boolean},
		"cpu_template":      {kind: text, values: []string{"C3", "T2", "T2S", "T2CL", "T2A", "V1N1", "None"}},
		"huge_pages":        {kind: text, values: []string{"None", "2M"}},
	}},
	"PUT /boot-source": {phase: beforeStart, body: schema{
		"kernel_image_path": {kind: text, required: true},
		"initrd_path":       {kind: text},
		"boot_args":         {kind: text},
	}},
	"PUT /drives/*": {phase: beforeStart, id: "drive_id", body: schema{
		"drive_id":       {kind: text, required: true},
		"is_root_device": {kind: boolean, required: true},
		"is_read_only":   {kind: boolean},
		"path_on_host":   {kind: text},
		"partuuid":       {kind: text},
		"cache_type":     {kind: text, values: []string{"Unsafe", "Writeback"}},
		"io_engine":      {kind: text, values: []string{"Sync", "Async"}},
		"socket":         {kind: text},
		"rate_limiter":   limiter,
	}},
	"PATCH /drives/*": {phase: afterStart, id: "drive_id", body: schema{
		"drive_id":     {kind: text, required: true},
		"path_on_host": {kind: text},
		"rate_limiter": limiter,
	}},
	"PUT /network-interfaces/*": {phase: beforeStart, id: "iface_id", body: schema{
		"iface_id":        {kind: text, required: true},
		"host_dev_name":   {kind: text, required: true},
		"guest_mac":       {kind: text},
		"rx_rate_limiter": limiter,
		"tx_rate_limiter": limiter,
	}},
	"PUT /vsock": {phase: beforeStart, body: schema{
		"guest_cid": {kind: integer, required: true, min: 3, max: 1<<32 - 1},
		"uds_path":  {kind: text, required: true},
		"vsock_id":  {kind: text},
	}},
	"PUT /entropy": {phase: beforeStart, body: schema{"rate_limiter": limiter}},
	"PUT /actions": {body: schema{
		"action_type": {kind: text, required: true, values: []string{"FlushMetrics", "InstanceStart", "SendCtrlAltDel"}},
	}},
	"PATCH /vm": {phase: afterStart, body: schema{
		"state": {kind: text, required: true, values: []string{"Paused", "Resumed"}},
	}},
	"PUT /snapshot/create": {phase: afterStart, body: schema{
		"mem_file_path": {kind: text, required: true},
		"snapshot_path": {kind: text, required: true},
		"snapshot_type": {kind: text, values: []string{"Full", "Diff"}},
	}},
	"PUT /snapshot/load": {phase: beforeStart, body: schema{
		"snapshot_path":         {kind: text, required: true},
		"mem_file_path":         {kind: text},
		"resume_vm":             {kind: boolean},
		"enable_diff_snapshots": {kind: boolean},
		"mem_backend": {kind: object, of: schema{
			"backend_type": {kind: text, required: true, values: []string{"File", "Uffd"}},
			"backend_path": {kind: text, required: true},
		}},
		"network_overrides": {kind: list, of: schema{
			"iface_id":      {kind: text, required: true},
			"host_dev_name": {kind: text, required: true},
		}},
	}},
}

// find finds an operation, and the id in its path.
func find(method, path string) (operation, string, error) {
	if op, ok := operations[method+" "+path]; ok {
		return op, "", nil
	}
	if cut := strings.LastIndex(path, "/"); cut > 0 {
		if op, ok := operations[method+" "+path[:cut]+"/*"]; ok {
			id := path[cut+1:]
			switch {
			case id == "":
				return op, "", fmt.Errorf("the id is empty")
			case strings.ContainsFunc(id, func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			}):
				return op, "", fmt.Errorf("the id %q has more than letters, digits and underscores", id)
			}
			return op, id, nil
		}
	}
	return operation{}, "", fmt.Errorf("there is no %s %s", method, path)
}

// parse reads a body and checks it.
func (op operation) parse(content []byte, id string) (map[string]any, error) {
	if len(content) == 0 {
		return nil, fmt.Errorf("the request has no body")
	}
	var body any
	if err := json.Unmarshal(content, &body); err != nil {
		return nil, fmt.Errorf("the body is no JSON: %w", err)
	}
	members, ok := body.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the body is no object")
	}
	if err := op.body.check(members); err != nil {
		return nil, err
	}
	if op.id != "" && members[op.id] != id {
		return nil, fmt.Errorf("%s is %v in the body and %s in the path", op.id, members[op.id], id)
	}
	return members, nil
}

func (s schema) check(members map[string]any) error {
	for name := range members {
		if _, ok := s[name]; !ok {
			return fmt.Errorf("there is no field %s", name)
		}
	}
	for name, f := range s {
		value, ok := members[name]
		if !ok {
			if f.required {
				return fmt.Errorf("the field %s is missing", name)
			}
			continue
		}
		if err := f.check(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (f field) check(value any) error {
	wrong := fmt.Errorf("%v is no %s", value, f.kind)
	switch f.kind {
	case text:
		s, ok := value.(string)
		if !ok {
			return wrong
		}
		if f.values != nil && !slices.Contains(f.values, s) {
			return fmt.Errorf("%q is none of %q", s, f.values)
		}
	case integer:
		n, ok := value.(float64)
		if !ok || n != float64(int64(n)) {
			return wrong
		}
		if f.min != f.max && (n < f.min || n > f.max) {
			return fmt.Errorf("%v lies not between %v and %v", n, f.min, f.max)
		}
	case boolean:
		if _, ok := value.(bool); !ok {
			return wrong
		}
	case object:
		members, ok := value.(map[string]any)
		if !ok {
			return wrong
		}
		return f.of.check(members)
	case list:
		values, ok := value.([]any)
		if !ok {
			return wrong
		}
		for _, value := range values {
			if err := (field{kind: object, of: f.of}).check(value); err != nil {
				return err
			}
		}
	}
	return nil
}
