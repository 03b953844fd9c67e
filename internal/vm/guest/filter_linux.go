package guest

import (
	_ "embed" // the filter
	"encoding/base64"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// filter is the seccomp filter of all containers, as the kernel takes it: Docker's default profile for capabilities and this processor. It is a
// program already because crun takes longer to translate the profile than for all else that it does. The tests make it (-update), and compare
// it with what crun makes of the profile.
//
//go:embed default.bpf
var filter []byte

// filterAnnotation hands crun a seccomp filter that is a program already (crun(1)).
const filterAnnotation = "run.oci.seccomp_bpf_data"

// useFilter makes a container run with the filter. The profile beside it is for a crun that doesn't know the annotation: it refuses everything,
// so that no container ever runs without.
func useFilter(spec *specs.Spec) {
	spec.Annotations = map[string]string{filterAnnotation: base64.StdEncoding.EncodeToString(filter)}
	spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
}
