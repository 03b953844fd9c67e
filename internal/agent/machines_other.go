//go:build !linux

package agent

import (
	"context"

	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/owner"
)

func checkMachines(context.Context, log.Logger, executorconfig.Config) error {
	return fault.Operatorf("microVMs need Linux")
}

func machinePrograms(executorconfig.Config) []string { return nil }

// makeMachines fails: microVMs need Linux, as the configuration's rules say before.
func (a *Agent) makeMachines(context.Context, *owner.Claim) (place, error) {
	return place{}, fault.Operatorf("microVMs need Linux")
}
