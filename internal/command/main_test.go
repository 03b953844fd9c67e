package command_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// The test binary is its own child: called with one of these words it does what the word says.
const (
	helperEnviron = "helper-environ"
	helperStray   = "helper-stray"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case helperEnviron:
			_ = json.NewEncoder(os.Stdout).Encode(os.Environ())
			os.Exit(0)
		case helperStray:
			startStray()
			os.Exit(0)
		}
	}
	goleak.VerifyTestMain(m)
}

// startStray leaves a process behind that has left its process group and holds the output open.
func startStray() {
	stray := exec.Command("sleep", "1000")
	stray.Stdout, stray.Stderr = os.Stdout, os.Stderr
	stray.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := stray.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("pid=%d\n", stray.Process.Pid)
}

// alive tells whether a process still runs; zombies that wait for init don't.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !os.IsNotExist(err)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
