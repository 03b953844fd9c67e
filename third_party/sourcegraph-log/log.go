// Package log is structured, scoped logging on zap, in the form of OpenTelemetry's log data model. It is our own
// implementation of the part of github.com/sourcegraph/log that we use; README.md says what is left out and why it is here.
//
// A program calls Init once in main and defers the Sync it returns; everybody else takes a Logger by parameter. Output goes to
// standard error; the environment variables in README.md steer level, format and sampling.
package log

import (
	"fmt"
	"os"
	"sync"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// Resource describes the program that logs.
type Resource struct {
	// Name is the program's name, "unknown_service" when empty.
	Name string
	// Namespace groups programs that belong together.
	Namespace string
	// Version is the build version.
	Version string
	// InstanceID tells instances of one program apart; a generated UUID when empty.
	InstanceID string
}

// PostInitCallbacks are what a program does with logging after Init.
type PostInitCallbacks struct {
	// Sync flushes what is buffered; call it before the program exits.
	Sync func()
	// Update returns a function that applies the configuration that get returns to the sinks that can change it. No sink of
	// this implementation can, so that function does nothing.
	Update func(get SinksConfigGetter) func()
}

var global struct {
	sync.RWMutex
	root *zap.Logger
	flat bool
}

// Init sets up logging for the whole process; sinks come in addition to standard error. It panics when called a second time
// and when a sink can't be built.
func Init(resource Resource, sinks ...Sink) *PostInitCallbacks {
	config := configFromEnv(os.Getenv)
	root, err := newRoot(config, resource, append([]Sink{&outputSink{config: config, output: os.Stderr}}, sinks...))
	if err != nil {
		panic(fmt.Sprintf("log.Init: %s", err))
	}
	global.Lock()
	defer global.Unlock()
	if global.root != nil {
		panic("log.Init called a second time")
	}
	global.root, global.flat = root, config.development
	return &PostInitCallbacks{
		Sync:   func() { _ = root.Sync() },
		Update: func(SinksConfigGetter) func() { return func() {} },
	}
}

// Scoped returns the process's logger under a scope, "worker" for example. Before Init it panics in development mode, and
// returns a logger that drops everything otherwise.
func Scoped(scope string) Logger {
	global.RLock()
	defer global.RUnlock()
	if global.root == nil {
		if configFromEnv(os.Getenv).development {
			panic("log.Scoped called before log.Init")
		}
		return NoOp().Scoped(scope)
	}
	return newAdapter(global.root, global.flat).Scoped(scope)
}

// NoOp returns a logger that drops everything. Its Fatal still exits.
func NoOp() Logger { return newAdapter(zap.NewNop(), false) }

// attributes renders the resource under OpenTelemetry's names.
func (r Resource) attributes() []Field {
	name := r.Name
	if name == "" {
		name = "unknown_service"
	}
	id := r.InstanceID
	if id == "" {
		id = uuid.NewString()
	}
	return []Field{
		String("service.name", name),
		String("service.namespace", r.Namespace),
		String("service.version", r.Version),
		String("service.instance.id", id),
	}
}
