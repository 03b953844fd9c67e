// Package spectemplate renders the templates in a batch spec's steps: Go templates between ${{ and }}, with the variables and functions that
// Sourcegraph documents under "Batch Spec Templating".
package spectemplate

import (
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/open-executor/executor/internal/batches"
	"github.com/open-executor/executor/internal/fault"
)

// outputLimit bounds what one template makes, in bytes.
const outputLimit = 64 << 20

// Context is what templates can speak of.
type Context struct {
	Input *batches.Input
	// Outputs are those of all steps so far.
	Outputs map[string]any
	// Changes are those of all steps so far.
	Changes batches.Changes
	// Previous is what the step before left; empty if there is none.
	Previous Outcome
	// Current is what this step left; empty before it has run.
	Current Outcome
}

// Outcome is what a step left.
type Outcome struct {
	Changes        batches.Changes
	Stdout, Stderr string
}

// paths are written with spaces between them, where a template doesn't join them.
type paths []string

func (p paths) String() string { return strings.Join(p, " ") }

// Render returns the text of a template. Name says in errors which it is. Mistakes in it are user errors.
func (c *Context) Render(name, text string) (string, error) {
	parsed, err := template.New(name).Delims("${{", "}}").Funcs(helpers).Funcs(c.variables()).Parse(text)
	if err != nil {
		return "", fault.Userf("%s is no template of a batch spec: %w", name, err)
	}
	out := limited{left: outputLimit}
	if err := parsed.Execute(&out, nil); err != nil {
		return "", fault.Userf("%s can't be rendered: %w", name, err)
	}
	return string(out.text), nil
}

// Holds evaluates a step's condition: nothing, a bool, or a template that says "true".
func (c *Context) Holds(condition any) (bool, error) {
	switch value := condition.(type) {
	case nil:
		return true, nil
	case bool:
		return value, nil
	case string:
		if value == "" {
			return true, nil
		}
		text, err := c.Render("if", value)
		return strings.TrimSpace(text) == "true", err
	default:
		return false, fault.Userf("if is %v, neither true, false nor a text", value)
	}
}

func (c *Context) variables() template.FuncMap {
	all := changed(c.Changes)
	all["path"] = c.Input.Path
	found := slices.Sorted(slices.Values(c.Input.SearchResultPaths))
	return constants(map[string]map[string]any{
		"previous_step": c.Previous.members(),
		"step":          c.Current.members(),
		"steps":         all,
		"outputs":       c.Outputs,
		"repository": {
			"search_result_paths": paths(found),
			"name":                c.Input.Repository.Name,
			"branch":              c.Input.Branch.Name,
		},
		"batch_change": {
			"name":        c.Input.BatchChangeAttributes.Name,
			"description": c.Input.BatchChangeAttributes.Description,
		},
	})
}

// constants makes functions without arguments, which is how templates see them as variables.
func constants(values map[string]map[string]any) template.FuncMap {
	functions := template.FuncMap{}
	for name, value := range values {
		functions[name] = func() map[string]any { return value }
	}
	return functions
}

func (o Outcome) members() map[string]any {
	all := changed(o.Changes)
	all["stdout"], all["stderr"] = o.Stdout, o.Stderr
	return all
}

func changed(c batches.Changes) map[string]any {
	return map[string]any{
		"modified_files": c.Modified,
		"added_files":    c.Added,
		"deleted_files":  c.Deleted,
		"renamed_files":  c.Renamed,
	}
}

// limited is a buffer that refuses more than it has left.
type limited struct {
	text []byte
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("it makes more than %d MiB", outputLimit>>20)
	}
	l.text = append(l.text, p...)
	return len(p), nil
}
