package oci

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// bazel plays as much of Bazel as the files in this folder use, and keeps what they ask of it.
type bazel struct {
	loaded map[string]starlark.StringDict
	// rules are calls of rules and of native rules, as kind and attributes.
	calls []call
	// written are files by path, runs are command lines.
	written map[string]string
	runs    [][]string
}

type call struct {
	kind       string
	attributes map[string]starlark.Value
}

type builtin func(args starlark.Tuple, kwargs map[string]starlark.Value) (starlark.Value, error)

// function turns a Go function into one of Starlark.
func function(name string, f builtin) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		named := make(map[string]starlark.Value)
		for _, pair := range kwargs {
			named[string(pair[0].(starlark.String))] = pair[1]
		}
		return f(args, named)
	})
}

// record returns a struct.
func record(members map[string]starlark.Value) *starlarkstruct.Struct {
	return starlarkstruct.FromStringDict(starlarkstruct.Default, members)
}

// nothing is a function whose value doesn't matter.
func nothing(name string) *starlark.Builtin {
	return function(name, func(starlark.Tuple, map[string]starlark.Value) (starlark.Value, error) { return starlark.None, nil })
}

// anything is a struct of such functions.
func anything(names ...string) *starlarkstruct.Struct {
	members := make(map[string]starlark.Value)
	for _, name := range names {
		members[name] = nothing(name)
	}
	return record(members)
}

// provider is a function that returns its arguments as a struct.
func provider(name string) *starlark.Builtin {
	return function(name, func(_ starlark.Tuple, kwargs map[string]starlark.Value) (starlark.Value, error) {
		return record(kwargs), nil
	})
}

func (b *bazel) rule(args starlark.Tuple, kwargs map[string]starlark.Value) (starlark.Value, error) {
	implementation, found := kwargs["implementation"]
	if !found {
		implementation = args[0]
	}
	return &rule{implementation: implementation.(starlark.Callable), b: b}, nil
}

// rule is what the files of the folder call, and through which the tests find the implementation.
type rule struct {
	implementation starlark.Callable
	b              *bazel
}

func (r *rule) String() string        { return "rule" }
func (r *rule) Type() string          { return "rule" }
func (r *rule) Freeze()               {}
func (r *rule) Truth() starlark.Bool  { return true }
func (r *rule) Hash() (uint32, error) { return 1, nil }
func (r *rule) Name() string          { return "rule" }

func (r *rule) CallInternal(_ *starlark.Thread, _ starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := call{kind: "rule", attributes: make(map[string]starlark.Value)}
	for _, pair := range kwargs {
		c.attributes[string(pair[0].(starlark.String))] = pair[1]
	}
	r.b.calls = append(r.b.calls, c)
	return starlark.None, nil
}

func (b *bazel) predeclared() starlark.StringDict {
	return starlark.StringDict{
		"DefaultInfo":      provider("DefaultInfo"),
		"OutputGroupInfo":  provider("OutputGroupInfo"),
		"attr":             anything("bool", "label", "label_list", "string", "string_dict", "string_list"),
		"depset":           function("depset", func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) { return args[0], nil }),
		"module_extension": function("module_extension", b.rule),
		"native": record(map[string]starlark.Value{
			"filegroup": function("filegroup", func(_ starlark.Tuple, kwargs map[string]starlark.Value) (starlark.Value, error) {
				b.calls = append(b.calls, call{"filegroup", kwargs})
				return starlark.None, nil
			}),
			"package_name": function("package_name", func(starlark.Tuple, map[string]starlark.Value) (starlark.Value, error) {
				return starlark.String("pkg"), nil
			}),
		}),
		"platform_common": record(map[string]starlark.Value{"PlatformInfo": starlark.None}),
		"repository_rule": function("repository_rule", b.rule),
		"rule":            function("rule", b.rule),
		"tag_class":       nothing("tag_class"),
		"transition":      nothing("transition"),
	}
}

// load runs a file of this folder, by its path from here.
func (b *bazel) load(file string) (starlark.StringDict, error) {
	if b.loaded == nil {
		b.loaded, b.written = make(map[string]starlark.StringDict), make(map[string]string)
	}
	if globals, found := b.loaded[file]; found {
		return globals, nil
	}
	thread := &starlark.Thread{Name: file, Load: func(_ *starlark.Thread, label string) (starlark.StringDict, error) {
		folder, name, _ := strings.Cut(label, ":")
		if folder == "" {
			return b.load(path.Join(path.Dir(file), name))
		}
		return b.load(path.Join(strings.TrimPrefix(folder, "//oci"), name)[1:])
	}}
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{}, thread, file, nil, b.predeclared())
	b.loaded[file] = globals
	return globals, err
}

// global returns a name of a file.
func (b *bazel) global(t *testing.T, file, name string) starlark.Value {
	t.Helper()
	globals, err := b.load(file)
	require.NoError(t, err)
	require.Contains(t, globals, name)
	return globals[name]
}

// invoke calls a function of Starlark.
func invoke(f starlark.Value, args starlark.Tuple, kwargs map[string]starlark.Value) (starlark.Value, error) {
	var named []starlark.Tuple
	for name, value := range kwargs {
		named = append(named, starlark.Tuple{starlark.String(name), value})
	}
	return starlark.Call(&starlark.Thread{}, f, args, named)
}

// build evaluates what a BUILD file in //pkg would say.
func (b *bazel) build(t *testing.T, text string) error {
	t.Helper()
	names, err := b.load("defs.bzl")
	require.NoError(t, err)
	known := starlark.StringDict{
		"select": function("select", func(starlark.Tuple, map[string]starlark.Value) (starlark.Value, error) {
			return starlarkstruct.FromStringDict(starlark.String("select"), nil), nil
		}),
	}
	for name, value := range names {
		known[name] = value
	}
	_, err = starlark.ExecFileOptions(&syntax.FileOptions{}, &starlark.Thread{}, "BUILD.bazel", text, known)
	return err
}

// implement runs a rule's implementation.
func (b *bazel) implement(t *testing.T, file, name string, ctx *starlarkstruct.Struct) error {
	t.Helper()
	_, err := invoke(b.global(t, file, name).(*rule).implementation, starlark.Tuple{ctx}, nil)
	return err
}

// fakeFile is a file or folder of a build.
func fakeFile(name string) starlark.Value {
	return record(map[string]starlark.Value{
		"path": starlark.String("bin/" + name), "short_path": starlark.String(name), "basename": starlark.String(path.Base(name)),
		"dirname": starlark.String(path.Dir("bin/" + name)), "owner": starlark.String("//pkg:" + name),
	})
}

// ctx is a rule's context with these attributes; values that are files stand in ctx.file and ctx.files too.
func (b *bazel) ctx(attributes map[string]starlark.Value) *starlarkstruct.Struct {
	file, files := make(map[string]starlark.Value), make(map[string]starlark.Value)
	for name, value := range attributes {
		switch v := value.(type) {
		case *starlarkstruct.Struct, starlark.NoneType:
			file[name] = v
		case *starlark.List:
			files[name] = v
		}
	}
	tool := map[string]starlark.Value{"_tool": fakeFile("tool")}
	if loader, found := attributes["loader"]; found {
		tool["loader"] = loader
	}
	return record(map[string]starlark.Value{
		"actions": b.actions(), "attr": record(attributes), "executable": record(tool), "file": record(file), "files": record(files),
		"label": label("target"), "workspace_name": starlark.String("_main"),
		"runfiles": nothing("runfiles"),
	})
}

func (b *bazel) actions() starlark.Value {
	declare := func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) {
		return fakeFile(string(args[0].(starlark.String))), nil
	}
	return record(map[string]starlark.Value{
		"args":              function("args", func(starlark.Tuple, map[string]starlark.Value) (starlark.Value, error) { return newArgs(), nil }),
		"declare_directory": function("declare_directory", declare),
		"declare_file":      function("declare_file", declare),
		"run": function("run", func(_ starlark.Tuple, kwargs map[string]starlark.Value) (starlark.Value, error) {
			var words []string
			for arg := range kwargs["arguments"].(*starlark.List).Elements() {
				words = append(words, *arg.(*arguments).words...)
			}
			b.runs = append(b.runs, words)
			return starlark.None, nil
		}),
		"write": function("write", func(args starlark.Tuple, _ map[string]starlark.Value) (starlark.Value, error) {
			b.written[text(args[0])] = string(args[1].(starlark.String))
			return starlark.None, nil
		}),
	})
}

// arguments is a command line in the making.
type arguments struct {
	*starlarkstruct.Struct
	words *[]string
}

func newArgs() *arguments {
	words := new([]string)
	return &arguments{words: words, Struct: record(map[string]starlark.Value{
		"add": function("add", func(args starlark.Tuple, kwargs map[string]starlark.Value) (starlark.Value, error) {
			word := text(args[0])
			if format, found := kwargs["format"]; found {
				word = strings.ReplaceAll(string(format.(starlark.String)), "%s", word)
			}
			*words = append(*words, word)
			return starlark.None, nil
		}),
	})}
}

// label is a target of //pkg.
type label string

func (l label) String() string        { return "//pkg:" + string(l) }
func (l label) Type() string          { return "Label" }
func (l label) Freeze()               {}
func (l label) Truth() starlark.Bool  { return true }
func (l label) Hash() (uint32, error) { return starlark.String(l).Hash() }
func (l label) AttrNames() []string   { return []string{"name"} }

func (l label) Attr(string) (starlark.Value, error) { return starlark.String(l), nil }

// text is what Bazel makes of a value in a command line.
func text(value starlark.Value) string {
	switch v := value.(type) {
	case starlark.String:
		return string(v)
	case label:
		return v.String()
	case *starlarkstruct.Struct:
		p, err := v.Attr("path")
		if err == nil {
			return text(p)
		}
	}
	panic(fmt.Sprintf("%s in a command line", value))
}

func list(values ...starlark.Value) *starlark.List { return starlark.NewList(values) }

func dict(pairs map[string]string) *starlark.Dict {
	d := starlark.NewDict(len(pairs))
	for key, value := range pairs {
		_ = d.SetKey(starlark.String(key), starlark.String(value)) // a new dict takes every text
	}
	return d
}
