package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Not in parallel: the library of commands keeps state for all of them.
func TestMicroVMCommands(t *testing.T) {
	env := configured("http://frontend.test")
	env["EXECUTOR_VM_DIR"] = t.TempDir()
	for name, test := range map[string]struct {
		words          []string
		code           int
		stdout, stderr string
	}{
		"ignite":                    {[]string{"install", "ignite", "--bin-dir", "/x"}, 0, "ignite is not needed any more; nothing was installed\n", ""},
		"cni":                       {[]string{"install", "cni"}, 0, "cni is not needed any more; nothing was installed\n", ""},
		"iptables-rules":            {[]string{"install", "iptables-rules", "--recreate-chain"}, 0, "iptables-rules is not needed any more; nothing was installed\n", ""},
		"the sandbox":               {[]string{"install", "image", "Sandbox"}, 0, "the sandbox image is not needed any more; nothing was installed\n", ""},
		"no image":                  {[]string{"install", "image"}, 1, "", "no image specified\n"},
		"two images":                {[]string{"install", "image", "kernel", "sandbox"}, 1, "", "too many arguments\n"},
		"an unknown image":          {[]string{"install", "image", "disk"}, 1, "", "unknown image \"disk\"; there are executor-vm, kernel and sandbox\n"},
		"no kernel":                 {[]string{"install", "kernel", "--from", "/nowhere", "--agent", "/nowhere/vmagent"}, 1, "", "/nowhere has no boot/vmlinuz-*"},
		"no machines":               {[]string{"vm", "list"}, 0, "NAME  JOB  QUEUE  STATE  SINCE\n", ""},
		"attach without a name":     {[]string{"vm", "attach"}, 1, "", "want the name of one microVM"},
		"an unknown machine":        {[]string{"vm", "rm", "executor-1"}, 1, "", "there is no microVM executor-1 with a job on this host"},
		"a path instead of a name":  {[]string{"vm", "attach", "../x"}, 1, "", `"../x" is not the name of a microVM`},
		"a repository at no commit": {[]string{"test-vm", "--repo", "a/b"}, 1, "", "--repo needs --revision"},
		"no kernel yet":             {[]string{"test-vm", "--shell"}, 1, "", "executor install kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, env, test.words...)
			require.Equal(t, test.code, code, stderr)
			require.Equal(t, test.stdout, stdout)
			require.Contains(t, stderr, test.stderr)
		})
	}
	left, err := filepath.Glob(filepath.Join(env["EXECUTOR_VM_DIR"], "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
