package schema

import (
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

func (r *reader) readFile(n *yaml.Node) *File {
	f, version := &File{}, ""
	top := n
	var options *yaml.Node
	r.mapping(n, "a file of tests", fields{
		"commandTests":        r.commands(&f.Commands),
		"containerRunOptions": func(n *yaml.Node) { options = n; r.runOptions(&f.RunOptions, n) },
		"fileContentTests":    r.contents(&f.Contents),
		"fileExistenceTests":  r.existences(&f.Existences),
		"globalEnvVars":       r.variables(&f.GlobalEnv, "globalEnvVars", false),
		"licenseTests":        func(n *yaml.Node) { r.fail(n, "licenseTests are not supported: write fileContentTests for the files") },
		"metadataTest":        r.metadata(&f.Metadata),
		"schemaVersion": func(n *yaml.Node) {
			if r.text(&version, "schemaVersion")(n); version != Version {
				r.fail(n, "schemaVersion is %q: %q is what can be read", version, Version)
			}
		},
	})
	if version == "" && len(r.problems) == 0 {
		r.fail(top, "schemaVersion is missing: write schemaVersion: %q", Version)
	}
	if f.RunOptions.set() && slices.ContainsFunc(f.Commands, func(c Command) bool { return len(c.Env) > 0 }) {
		r.fail(options, "containerRunOptions and the envVars of a command test don't go together: container-structure-test would leave out the latter; use globalEnvVars")
	}
	return f
}

// set: they say anything.
func (o RunOptions) set() bool {
	return o.User != "" || o.Privileged || len(o.PassEnv)+len(o.Binds) > 0
}

func (r *reader) commands(into *[]Command) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, "commandTests", func(n *yaml.Node) {
			var c Command
			var teardown [][]string
			r.mapping(n, "a command test", fields{
				"args":           r.texts(&c.Args, "args"),
				"command":        r.text(&c.Command, "command"),
				"envVars":        r.variables(&c.Env, "envVars", true),
				"excludedError":  r.patterns(&c.ExcludedError, "excludedError"),
				"excludedOutput": r.patterns(&c.ExcludedOutput, "excludedOutput"),
				"exitCode":       r.integer(&c.ExitCode, "exitCode"),
				"expectedError":  r.patterns(&c.ExpectedError, "expectedError"),
				"expectedOutput": r.patterns(&c.ExpectedOutput, "expectedOutput"),
				"name":           r.text(&c.Name, "name"),
				"setup":          r.commandLines(&c.Setup, "setup"),
				// Every test has containers of its own, so there is nothing to tear down: it is read and left alone, as by the tool that the
				// schema comes from.
				"teardown": r.commandLines(&teardown, "teardown"),
			})
			r.need(n, "a command test", "name", c.Name)
			r.need(n, "a command test", "command", c.Command)
			*into = append(*into, c)
		})
	}
}

func (r *reader) commandLines(into *[][]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, what, func(n *yaml.Node) {
			var words []string
			if r.texts(&words, what)(n); len(words) == 0 {
				r.fail(n, "%s: a command has at least one word", what)
			}
			*into = append(*into, words)
		})
	}
}

func (r *reader) contents(into *[]Content) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, "fileContentTests", func(n *yaml.Node) {
			var c Content
			r.mapping(n, "a file content test", fields{
				"excludedContents": r.patterns(&c.Excluded, "excludedContents"),
				"expectedContents": r.patterns(&c.Expected, "expectedContents"),
				"name":             r.text(&c.Name, "name"),
				"path":             r.text(&c.Path, "path"),
			})
			r.need(n, "a file content test", "name", c.Name)
			r.need(n, "a file content test", "path", c.Path)
			*into = append(*into, c)
		})
	}
}

// executors are the groups that a file may have to be executable by.
var executors = []string{"", "any", "group", "other", "owner"}

func (r *reader) existences(into *[]Existence) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, "fileExistenceTests", func(n *yaml.Node) {
			e := Existence{ShouldExist: true, UID: -1, GID: -1}
			r.mapping(n, "a file existence test", fields{
				"gid": r.integer(&e.GID, "gid"),
				"isExecutableBy": func(n *yaml.Node) {
					if r.text(&e.ExecutableBy, "isExecutableBy")(n); !slices.Contains(executors, e.ExecutableBy) {
						r.fail(n, "isExecutableBy is %q: it may be any, owner, group or other", e.ExecutableBy)
					}
				},
				"name":        r.text(&e.Name, "name"),
				"path":        r.text(&e.Path, "path"),
				"permissions": r.text(&e.Permissions, "permissions"),
				"shouldExist": r.boolean(&e.ShouldExist, "shouldExist"),
				"uid":         r.integer(&e.UID, "uid"),
			})
			r.need(n, "a file existence test", "name", e.Name)
			r.need(n, "a file existence test", "path", e.Path)
			*into = append(*into, e)
		})
	}
}

func (r *reader) metadata(into **Metadata) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var m Metadata
		var unbound []Variable
		r.mapping(n, "metadataTest", fields{
			"cmd":              r.words(&m.Cmd, "cmd"),
			"entrypoint":       r.words(&m.Entrypoint, "entrypoint"),
			"envVars":          r.variables(&m.Env, "envVars", false),
			"exposedPorts":     r.ports(&m.ExposedPorts, "exposedPorts"),
			"labels":           r.variables(&m.Labels, "labels", false),
			"unboundEnvVars":   r.variables(&unbound, "unboundEnvVars", false),
			"unexposedPorts":   r.ports(&m.UnexposedPorts, "unexposedPorts"),
			"unmountedVolumes": r.texts(&m.UnmountedVolumes, "unmountedVolumes"),
			"user":             r.text(&m.User, "user"),
			"volumes":          r.filled(&m.Volumes, "volumes"),
			"workdir":          r.text(&m.Workdir, "workdir"),
		})
		for _, variable := range unbound {
			m.UnboundEnv = append(m.UnboundEnv, variable.Key)
		}
		if !m.empty() {
			*into = &m
		}
	}
}

// empty: it tests nothing, and is none.
func (m *Metadata) empty() bool {
	lists := len(m.Env) + len(m.Labels) + len(m.UnboundEnv) + len(m.ExposedPorts) + len(m.UnexposedPorts) + len(m.Volumes) + len(m.UnmountedVolumes)
	return lists == 0 && m.Entrypoint == nil && m.Cmd == nil && m.Workdir == "" && m.User == ""
}

// variables reads names and values; valued ones want a value that is not empty.
func (r *reader) variables(into *[]Variable, what string, valued bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, what, func(n *yaml.Node) {
			var v Variable
			isRegex := false
			r.mapping(n, "a member of "+what, fields{
				"isRegex": r.boolean(&isRegex, "isRegex"),
				"key":     r.text(&v.Key, "key"),
				"value":   r.text(&v.Value, "value"),
			})
			r.need(n, "a member of "+what, "key", v.Key)
			if valued {
				r.need(n, "a member of "+what, "value", v.Value)
			}
			if isRegex {
				v.Pattern = r.pattern(n, v.Value, what)
			}
			*into = append(*into, v)
		})
	}
}

// filled reads texts that are not empty.
func (r *reader) filled(into *[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if r.texts(into, what)(n); slices.Contains(*into, "") {
			r.fail(n, "%s has an empty member", what)
		}
	}
}

var portNumber = regexp.MustCompile(`^[0-9]+$`)

// ports reads numbers of ports. With a protocol, a port would never be found.
func (r *reader) ports(into *[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		r.list(n, what, func(item *yaml.Node) {
			var port string
			if r.text(&port, what)(item); !portNumber.MatchString(port) {
				r.fail(item, "%s: %q is no port: write its number, without a protocol", what, port)
			}
			*into = append(*into, port)
		})
	}
}

func (r *reader) runOptions(into *RunOptions, n *yaml.Node) {
	r.mapping(n, "containerRunOptions", fields{
		"allocateTty": func(n *yaml.Node) {
			r.fail(n, "allocateTty is not supported: container-structure-test fails with it, since it can't read a terminal's output")
		},
		"bindMounts": r.texts(&into.Binds, "bindMounts"),
		"capabilities": func(n *yaml.Node) {
			r.fail(n, "capabilities are not supported: container-structure-test has engines of today leave them out; use privileged")
		},
		"envFile":    func(n *yaml.Node) { r.fail(n, "envFile is not supported: name the variables in envVars") },
		"envVars":    r.texts(&into.PassEnv, "envVars"),
		"privileged": r.boolean(&into.Privileged, "privileged"),
		"user":       r.text(&into.User, "user"),
	})
}

func (r *reader) need(n *yaml.Node, what, member, value string) {
	if value == "" {
		r.fail(n, "%s needs a %s", what, member)
	}
}
