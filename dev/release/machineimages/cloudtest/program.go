package cloudtest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// StateVariable names the directory of the cloud. Besides it there are, made by calls: the file Calls, and what packer was given.
	StateVariable = "CLOUDTEST_STATE"
	// FaultVariable says which call goes wrong, "NUMBER MODE SCOPE": the call with the number, from 1 on, and with the scope Onward all after it.
	FaultVariable = "CLOUDTEST_FAULT"
	// PackerVariable is the version that packer says it is.
	PackerVariable = "CLOUDTEST_PACKER"

	// Calls is a file with a line for each call, its words quoted where they need it.
	Calls = "calls"

	// Once and Onward are scopes.
	Once, Onward = "once", "onward"
)

// Modes of a fault.
const (
	// Fail ends with an error, and nothing was done.
	Fail = "fail"
	// Empty and Malformed answer so, as if all were well, and nothing was done.
	Empty, Malformed = "empty", "malformed"
	// Hang doesn't end while a script may wait for it.
	Hang = "hang"
	// Lost does what was asked for and ends with an error.
	Lost = "lost"
	// Interrupt is as Hang, after a SIGTERM to the leader of the session, the script.
	Interrupt = "interrupt"
)

// hung is longer than the patience of any script under test, and an end for a stand-in that nobody kills.
const hung = time.Minute

// Programs are those that Main can be.
var Programs = []string{"aws", "gcloud", "packer"}

// Main is one of the programs, by the name that it was called by, and returns how it ends.
func Main(arguments []string, stdout, stderr io.Writer) int {
	name, words := filepath.Base(arguments[0]), arguments[1:]
	dir := os.Getenv(StateVariable)
	if answer, local := versions(name, words); local {
		fmt.Fprintln(stdout, answer)
		return 0
	}
	number, err := noteCall(dir, name, words)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 3
	}
	mode := fault(number)
	switch mode {
	case Fail:
		fmt.Fprintln(stderr, "could not connect to the endpoint")
		return 1
	case Empty:
		return 0
	case Malformed:
		fmt.Fprint(stdout, `{"Images": [`)
		return 0
	case Interrupt:
		leader, err := unix.Getsid(0)
		if err == nil {
			err = unix.Kill(leader, unix.SIGTERM)
		}
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 3
		}
		time.Sleep(hung)
		return 1
	case Hang:
		time.Sleep(hung)
		return 1
	}
	answer, err := do(dir, name, words)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 254
	}
	if mode == Lost {
		fmt.Fprintln(stderr, "connection was closed before a response came")
		return 1
	}
	fmt.Fprint(stdout, answer)
	return 0
}

// versions answers calls that go to no cloud.
func versions(name string, words []string) (string, bool) {
	if len(words) != 1 || strings.TrimLeft(words[0], "-") != "version" {
		return "", false
	}
	if name == "packer" {
		version := os.Getenv(PackerVariable)
		if version == "" {
			version = "1.11.2"
		}
		return "Packer v" + version, true
	}
	return name + " 1.2.3", true
}

func noteCall(dir, name string, words []string) (int, error) {
	path := filepath.Join(dir, Calls)
	before, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	line := name
	for _, word := range words {
		if strings.ContainsAny(word, " \t\n\"'*[]{}$") {
			word = strconv.Quote(word)
		}
		line += " " + word
	}
	return strings.Count(string(before), "\n") + 1, os.WriteFile(path, append(before, line+"\n"...), 0o600)
}

func fault(number int) string {
	words := strings.Fields(os.Getenv(FaultVariable))
	if len(words) != 3 {
		return ""
	}
	at, err := strconv.Atoi(words[0])
	if err != nil || number < at || number > at && words[2] == Once {
		return ""
	}
	return words[1]
}

func do(dir, name string, words []string) (string, error) {
	if name == "packer" {
		return "", packer(dir, words)
	}
	cloud, err := Load(dir)
	if err != nil {
		return "", err
	}
	act := cloud.amazon
	if name == "gcloud" {
		act = cloud.google
	}
	answer, err := act(words)
	if err != nil {
		return "", err
	}
	return answer, cloud.Save(dir)
}

// packer notes, for a build, the files of the folder with their modes and beginnings, and the variables.
func packer(dir string, words []string) error {
	if words[0] != "build" {
		return nil
	}
	folder := words[len(words)-1]
	var note strings.Builder
	walk := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(folder, path)
		fmt.Fprintf(&note, "%v %s %q\n", info.Mode(), below, content)
		return err
	})
	if walk != nil {
		return walk
	}
	variables := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return !strings.HasPrefix(pair, "PKR_VAR_") && !strings.HasPrefix(pair, "AWS_")
	})
	slices.Sort(variables)
	fmt.Fprintf(&note, "%s\n", strings.Join(variables, "\n"))
	if key := os.Getenv("PKR_VAR_gcp_account_file"); key != "" {
		info, err := os.Stat(key)
		if err != nil {
			return err
		}
		parent, err := os.Stat(filepath.Dir(key))
		if err != nil {
			return err
		}
		fmt.Fprintf(&note, "key %v in %v\n", info.Mode(), parent.Mode())
	}
	return os.WriteFile(filepath.Join(dir, "packer-"+filepath.Base(folder)), []byte(note.String()), 0o600)
}
