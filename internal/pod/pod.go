// Package pod is what the Kubernetes runtime and the containers of its pods agree on.
//
// A job is one pod. Its first container runs the agent, which holds the job's workspace and the steps' output; each step has a container of its own image,
// whose first process (package step) waits until the agent tells it what to run. The executor speaks with the agent through the API server, by the protocol of
// internal/vm/channel. Nothing but the steps' own processes depends on that connection: it may end, and another one, of another process, goes on from
// where the first one was.
package pod

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Paths in a pod's containers.
const (
	// Workspace is the job's workspace, in all containers (spec section 5.3.3).
	Workspace = "/job"
	// SharedDir is where the program and the agent's socket are, in all containers, and Program the program.
	SharedDir = "/.executor"
	Program   = SharedDir + "/podagent"
	// StepSocket is where steps find the agent.
	StepSocket = SharedDir + "/agent.sock"
	// EndedSuffix makes the name of a file of StepSocket's: with it the agent says that it has ended, to steps that start later.
	EndedSuffix = ".ended"
	// PrivateDir is the agent's alone: what steps wrote, and AttachSocket, where the executor's connections come in.
	PrivateDir   = "/var/lib/podagent"
	AttachSocket = PrivateDir + "/attach.sock"
)

// Bounds that both ends keep to.
const (
	// Silence is how long either end of an executor's connection may say nothing. The executor pings four times as often.
	Silence = 15 * time.Second
	// MaxKept bounds each thing that the agent keeps for a later executor, in bytes.
	MaxKept = 8 << 20
)

// Environment of the containers' first processes, which steps do not inherit.
const (
	// KeyVariable is, to the agent, the key that passes are made with, and to a step its pass.
	KeyVariable = "EXECUTOR_POD_KEY"
)

// Pass is what the first process of a container proves with that it is the one of that number: steps of one job may have different secrets, so that one must
// not take the place of another.
func Pass(key string, container int) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(strconv.Itoa(container)))
	return hex.EncodeToString(mac.Sum(nil))
}
