package guest

import (
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// data is what a filter decides about (struct seccomp_data of Linux), in words.
type data [16]uint32

// Words of data.
const (
	number, arch, firstArg, lastWord = 0, 1, 4, 15
)

// decide runs a filter as the kernel does, and counts its steps.
func decide(t *testing.T, filter []instruction, d data) (action uint32, steps int) {
	t.Helper()
	var accumulator uint32
	jump := func(in instruction, yes bool) int {
		if yes {
			return int(in.jt)
		}
		return int(in.jf)
	}
	for pc := 0; pc < len(filter); pc++ {
		steps++
		switch in := filter[pc]; in.code {
		case loadWord:
			require.Zero(t, in.k%4)
			accumulator = d[in.k/4]
		case andWord:
			accumulator &= in.k
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.k)
		case ifEqual:
			pc += jump(in, accumulator == in.k)
		case ifMore:
			pc += jump(in, accumulator > in.k)
		case ifLeast:
			pc += jump(in, accumulator >= in.k)
		case giveBack:
			return in.k, steps
		default:
			require.Fail(t, "unknown instruction", "%+v", in)
		}
	}
	require.Fail(t, "the filter has no end")
	return 0, 0
}

// values are those of a word at which a filter may change its mind: the constants in it and their neighbours.
func values(filter []instruction) []uint32 {
	found := []uint32{0, 1<<32 - 1}
	for _, in := range filter {
		switch in.code {
		case ifEqual, ifMore, ifLeast:
			found = append(found, in.k-1, in.k, in.k+1)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// requireSame compares two filters at all values of number and architecture that count, each with arguments that may count as well.
func requireSame(t *testing.T, want, got []instruction, arches []uint32) {
	t.Helper()
	all := values(want)
	random := rand.New(rand.NewPCG(1, 2))
	for _, a := range arches {
		for _, n := range all {
			for round := range 24 {
				d := data{number: n, arch: a}
				for i := firstArg; i <= lastWord; i++ {
					// The upper half of an argument is mostly nothing.
					if (i%2 == 0 || round%8 == 7) && round > 0 {
						d[i] = all[random.IntN(len(all))]
					}
				}
				before, _ := decide(t, want, d)
				after, _ := decide(t, got, d)
				require.Equal(t, before, after, "%x", d)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the filter anew")

// translated is what crun and libseccomp 2.5.4 make of Docker's default profile.
func translated(t *testing.T) []byte {
	t.Helper()
	program, err := os.ReadFile("testdata/default.bpf")
	require.NoError(t, err)
	return program
}

func TestFilterDecidesAsDockersDefault(t *testing.T) {
	t.Parallel()
	program := translated(t)
	less, err := shrink(program)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("default.bpf", less, 0o644))
	}
	require.Equal(t, less, filter, "go test ./internal/vm/guest -update makes it anew")
	require.Less(t, len(less), len(program)*2/3)
	want, got := decodeFilter(program), decodeFilter(less)
	require.Equal(t, program, encodeFilter(want))
	requireSame(t, want, got, []uint32{0, unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64, 1<<32 - 1})
	read := data{number: unix.SYS_READ, arch: unix.AUDIT_ARCH_X86_64}
	action, steps := decide(t, got, read)
	require.EqualValues(t, unix.SECCOMP_RET_ALLOW, action)
	require.Less(t, steps, 20)
	for name, refused := range map[string]data{
		"mount":                {number: unix.SYS_MOUNT, arch: unix.AUDIT_ARCH_X86_64},
		"mount of x32":         {number: unix.SYS_MOUNT | 0x40000000, arch: unix.AUDIT_ARCH_X86_64},
		"mount of i386":        {number: 21, arch: unix.AUDIT_ARCH_I386},
		"a namespace of users": {number: unix.SYS_CLONE, arch: unix.AUDIT_ARCH_X86_64, firstArg: unix.CLONE_NEWUSER},
	} {
		action, _ := decide(t, got, refused)
		require.EqualValues(t, unix.SECCOMP_RET_ERRNO|unix.EPERM, action, name)
	}
	action, _ = decide(t, got, data{number: unix.SYS_CLONE3, arch: unix.AUDIT_ARCH_X86_64})
	require.EqualValues(t, unix.SECCOMP_RET_ERRNO|unix.ENOSYS, action)
}

func TestFiltersOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string][]instruction{
		"empty":               {},
		"no end":              {{code: loadWord}},
		"a jump out of it":    {{code: loadWord}, {code: ifEqual, jt: 9}, {code: giveBack}},
		"bits are looked at":  {{code: loadWord}, {code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, k: 1}, {code: giveBack}},
		"memory is used":      {{code: loadWord}, {code: unix.BPF_ST}, {code: giveBack}},
		"the index is loaded": {{code: unix.BPF_LDX | unix.BPF_IMM}, {code: giveBack}},
	} {
		_, err := shrink(encodeFilter(filter))
		require.ErrorIs(t, err, errForeign, name)
	}
}

// FuzzShrink makes filters of chains of comparisons of three words.
func FuzzShrink(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Fuzz(func(t *testing.T, seed []byte) {
		filter := []instruction{{code: loadWord}}
		for i := 0; i+3 < len(seed) && i < 160; i += 4 {
			in := instruction{code: []uint16{ifEqual, ifMore, ifLeast, andWord, loadWord, giveBack}[seed[i]%6], k: uint32(seed[i+1])}
			switch in.code {
			case ifEqual, ifMore, ifLeast:
				in.jt, in.jf = seed[i+2]%8, seed[i+3]%8
			case loadWord:
				in.k = uint32(seed[i+1]%3) * 4
			}
			filter = append(filter, in)
		}
		for range 8 {
			filter = append(filter, instruction{code: giveBack, k: uint32(len(filter))})
		}
		program, err := shrink(encodeFilter(filter))
		if err != nil {
			return
		}
		for _, n := range values(filter) {
			for _, a := range values(filter) {
				for _, other := range []uint32{0, 1, 7, 200} {
					d := data{number: n, arch: a, 2: other}
					want, _ := decide(t, filter, d)
					got, _ := decide(t, decodeFilter(program), d)
					require.Equal(t, want, got, "%x", d)
				}
			}
		}
	})
}
