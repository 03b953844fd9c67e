package firecracker

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// scene is a fake monitor, and the files that requests name.
func scene(t *testing.T) *monitor {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{kernelName, initramfsName, "drive0-0", "drive0-1"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), nil, 0o600))
	}
	m := newMonitor(root)
	t.Cleanup(func() {
		for _, drive := range m.drives {
			require.NoError(t, drive.Close())
		}
		if m.vsock != nil {
			require.NoError(t, m.vsock.Close())
		}
	})
	return m
}

// ask sends "METHOD /path body" and returns why it was refused, "" if it wasn't.
func (m *monitor) ask(t *testing.T, call string) string {
	t.Helper()
	words := strings.SplitN(call, " ", 3)
	answer := httptest.NewRecorder()
	m.ServeHTTP(answer, httptest.NewRequest(words[0], words[1], strings.NewReader(words[2])))
	if answer.Code == http.StatusNoContent {
		require.Zero(t, answer.Body.Len())
		return ""
	}
	require.Equal(t, http.StatusBadRequest, answer.Code)
	err := refusal("", answer.Body.Bytes()).Error()
	return strings.TrimPrefix(err, "refused (): ")
}

const (
	aMachine = `PUT /machine-config {"vcpu_count":1,"mem_size_mib":128}`
	aKernel  = `PUT /boot-source {"kernel_image_path":"/vmlinux"}`
	aDrive   = `PUT /drives/drive0 {"drive_id":"drive0","path_on_host":"/drive0-0","is_root_device":false,"is_read_only":true}`
	aStart   = `PUT /actions {"action_type":"InstanceStart"}`
	aSwap    = `PATCH /drives/drive0 {"drive_id":"drive0","path_on_host":"/drive0-1"}`
	aPause   = `PATCH /vm {"state":"Paused"}`
)

func TestTheFakeRefusesWhatFirecrackerRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before     []string
		call, says string
	}{
		"no such path":         {nil, `PUT /drive {"a":1}`, "there is no PUT /drive"},
		"no such method":       {nil, `POST /vsock {"guest_cid":3,"uds_path":"/a"}`, "there is no POST /vsock"},
		"no id":                {nil, `PUT /drives/ {"drive_id":""}`, "the id is empty"},
		"an id with a hyphen":  {nil, `PUT /drives/a-b {"drive_id":"a-b"}`, "more than letters"},
		"another id":           {nil, strings.Replace(aDrive, "drive0", "drive1", 1), "drive_id is drive0 in the body and drive1 in the path"},
		"no body":              {nil, `PUT /entropy `, "the body has 0 bytes"},
		"no JSON":              {nil, `PUT /entropy x`, "no JSON"},
		"no object":            {nil, `PUT /entropy []`, "no object"},
		"a large body":         {nil, `PUT /entropy ` + strings.Repeat(" ", maxBody+1), "the body has 51201"},
		"a missing field":      {nil, `PUT /machine-config {"vcpu_count":1}`, "mem_size_mib is missing"},
		"an unknown field":     {nil, `PUT /entropy {"x":1}`, "no field x"},
		"an unknown one below": {nil, `PUT /entropy {"rate_limiter":{"x":1}}`, "no field x"},
		"text for a number":    {nil, `PUT /machine-config {"vcpu_count":"1","mem_size_mib":128}`, "vcpu_count: 1 is no integer"},
		"a fraction":           {nil, `PUT /machine-config {"vcpu_count":1.5,"mem_size_mib":128}`, "no integer"},
		"too large a number":   {nil, `PUT /machine-config {"vcpu_count":33,"mem_size_mib":128}`, "lies not between 1 and 32"},
		"too low an address":   {nil, `PUT /vsock {"guest_cid":2,"uds_path":"/v"}`, "lies not between 3"},
		"a number for text":    {nil, `PUT /boot-source {"kernel_image_path":1}`, "no string"},
		"null":                 {nil, `PUT /boot-source {"kernel_image_path":null}`, "no string"},
		"text for a boolean":   {nil, strings.Replace(aDrive, "true", `"true"`, 1), "no boolean"},
		"another word":         {nil, `PUT /actions {"action_type":"instanceStart"}`, "is none of"},
		"no list":              {nil, `PUT /snapshot/load {"snapshot_path":"/s","network_overrides":{}}`, "no array"},
		"half an override":     {nil, `PUT /snapshot/load {"snapshot_path":"/s","network_overrides":[{"iface_id":"a"}]}`, "host_dev_name is missing"},
		"a backend's type":     {nil, `PUT /snapshot/load {"snapshot_path":"/s","mem_backend":{"backend_type":"file","backend_path":"/m"}}`, "is none of"},
		"no memory":            {nil, `PUT /snapshot/load {"snapshot_path":"/vmlinux"}`, "either mem_backend or mem_file_path"},
		"two memories":         {nil, `PUT /snapshot/load {"snapshot_path":"/s","mem_file_path":"/m","mem_backend":{"backend_type":"File","backend_path":"/m"}}`, "either mem_backend"},
		"loading too late":     {[]string{aMachine}, `PUT /snapshot/load {"snapshot_path":"/vmlinux","mem_file_path":"/vmlinux"}`, "is configured"},
		"a kernel elsewhere":   {nil, `PUT /boot-source {"kernel_image_path":"/missing"}`, "no such file"},
		"a drive elsewhere":    {nil, strings.Replace(aDrive, "drive0-0", "missing", 1), "no such file"},
		"a drive without mode": {nil, strings.Replace(aDrive, `,"is_read_only":true`, "", 1), "is_read_only"},
		"a long tap":           {nil, `PUT /network-interfaces/n {"iface_id":"n","host_dev_name":"sixteen-letters0"}`, "no name of a device"},
		"starting nothing":     {[]string{aMachine, aDrive}, aStart, "no boot source"},
		"without a machine":    {[]string{aKernel}, aStart, "no machine configuration"},
		"starting twice":       {[]string{aMachine, aKernel, aStart}, aStart, "has started"},
		"a drive too late":     {[]string{aMachine, aKernel, aStart}, aDrive, "has started"},
		"a swap too early":     {[]string{aMachine, aKernel, aDrive}, aSwap, "has not started"},
		"a swap of no drive":   {[]string{aMachine, aKernel, aStart}, aSwap, "no drive drive0"},
		"a swap of the mode":   {[]string{aMachine, aKernel, aDrive, aStart}, `PATCH /drives/drive0 {"drive_id":"drive0","is_read_only":false}`, "no field is_read_only"},
		"a pause too early":    {nil, aPause, "has not started"},
		"a snapshot too early": {[]string{aMachine, aKernel, aStart}, `PUT /snapshot/create {"mem_file_path":"/m","snapshot_path":"/s"}`, "not paused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := scene(t)
			for _, call := range test.before {
				require.Empty(t, m.ask(t, call), call)
			}
			require.Contains(t, m.ask(t, test.call), test.says)
		})
	}
}

// Without the one mistake, the requests above are taken.
func TestTheFakeTakesWhatFirecrackerTakes(t *testing.T) {
	t.Parallel()
	m := scene(t)
	for _, call := range []string{
		`PUT /logger {"level":"Warning"}`,
		aMachine, aKernel, aDrive,
		`PUT /network-interfaces/n {"iface_id":"n","host_dev_name":"tap0","rx_rate_limiter":{"bandwidth":{"size":1,"refill_time":1}}}`,
		`PUT /vsock {"guest_cid":3,"uds_path":"/v"}`,
		`PUT /entropy {"rate_limiter":{"ops":{"size":1,"refill_time":1,"one_time_burst":0}}}`,
		aStart, aSwap, aPause,
		`PUT /snapshot/create {"mem_file_path":"/m","snapshot_path":"/s","snapshot_type":"Full"}`,
		`PATCH /vm {"state":"Resumed"}`,
	} {
		require.Empty(t, m.ask(t, call), call)
	}
}

// Firecracker's server knows no chunked bodies.
func TestTheFakeTakesNoChunks(t *testing.T) {
	t.Parallel()
	request := httptest.NewRequest(http.MethodPut, "/entropy", strings.NewReader("{}"))
	request.ContentLength, request.TransferEncoding = -1, []string{"chunked"}
	answer := httptest.NewRecorder()
	scene(t).ServeHTTP(answer, request)
	require.Contains(t, answer.Body.String(), "encoded [chunked]")
}
