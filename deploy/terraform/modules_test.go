package terraform_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// called is the folder of the module that is called.
func called(at spot, call *hclsyntax.Block) string {
	return path.Join(path.Dir(at.attr.SrcRange.Filename), text(call.Body.Attributes["source"]))
}

// checkVariables: each is typed, described, checked unless its type does that, and used; what is secret is marked.
func checkVariables(all tree) []string {
	var found []string
	for dir, m := range all {
		used := make(map[string]bool)
		for _, at := range m.spots() {
			// What only its own validation looks at does nothing.
			if at.top.Type == "variable" {
				continue
			}
			for _, traversal := range hclsyntax.Variables(at.attr.Expr) {
				if traversal.RootName() == "var" {
					used[attribute(traversal, 1)] = true
				}
			}
		}
		for name, block := range m.variables {
			say := func(what string) { found = append(found, fmt.Sprintf("%s: variable %s %s", dir, name, what)) }
			if !used[name] {
				say("is used by nothing")
			}
			if text(block.Body.Attributes["description"]) == "" {
				say("has no description")
			}
			kind := block.Body.Attributes["type"]
			if kind == nil {
				say("has no type")
				continue
			}
			traversals := hclsyntax.Variables(kind.Expr)
			isBool := len(traversals) == 1 && traversals[0].RootName() == "bool"
			validated := slices.ContainsFunc(block.Body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "validation" })
			if !isBool && !validated {
				say("takes any value: it has no validation")
			}
			if secret.MatchString(name) && !reference.MatchString(name) && block.Body.Attributes["sensitive"] == nil {
				say("may be a secret, and isn't marked as sensitive")
			}
		}
	}
	return found
}

// checkOutputs: each is described.
func checkOutputs(all tree) []string {
	var found []string
	for dir, m := range all {
		for name, block := range m.outputs {
			if text(block.Body.Attributes["description"]) == "" {
				found = append(found, fmt.Sprintf("%s: output %s has no description", dir, name))
			}
		}
	}
	return found
}

// checkLocals: each is used.
func checkLocals(all tree) []string {
	var found []string
	for dir, m := range all {
		used := make(map[string]bool)
		for _, at := range m.spots() {
			for _, traversal := range hclsyntax.Variables(at.attr.Expr) {
				if traversal.RootName() == "local" {
					used[attribute(traversal, 1)] = true
				}
			}
		}
		for name := range m.locals {
			if !used[name] {
				found = append(found, fmt.Sprintf("%s: local %s is used by nothing", dir, name))
			}
		}
	}
	return found
}

// checkCalls: a call passes what the module requires, and nothing that it doesn't have.
func checkCalls(all tree) []string {
	var found []string
	for dir, m := range all {
		for name, call := range m.calls {
			say := func(what string) { found = append(found, fmt.Sprintf("%s: module %s %s", dir, name, what)) }
			source := call.Body.Attributes["source"]
			if source == nil {
				say("has no source")
				continue
			}
			callee := all[path.Join(dir, text(source))]
			if callee == nil {
				say("has a source that isn't there: " + text(source))
				continue
			}
			for passed := range call.Body.Attributes {
				if callee.variables[passed] == nil && !slices.Contains([]string{"source", "count", "for_each", "depends_on", "providers"}, passed) {
					say("has no variable " + passed)
				}
			}
			for wanted, block := range callee.variables {
				if block.Body.Attributes["default"] == nil && call.Body.Attributes[wanted] == nil {
					say("requires " + wanted)
				}
			}
		}
	}
	return found
}

var pinned = regexp.MustCompile(`^~> [0-9]+(\.[0-9]+)+$`)

// checkVersions: Terraform and each provider are pinned to what is compatible.
func checkVersions(all tree) []string {
	var found []string
	for dir, m := range all {
		var terraform, provider []string
		for _, at := range m.spots() {
			if at.top.Type != "terraform" {
				continue
			}
			if at.attr.Name == "required_version" {
				terraform = append(terraform, text(at.attr))
			}
			if !slices.Contains(at.path, "required_providers") {
				continue
			}
			object, _ := at.attr.Expr.(*hclsyntax.ObjectConsExpr)
			if object == nil {
				found = append(found, fmt.Sprintf("%s is no object", at))
				continue
			}
			for _, item := range object.Items {
				if key, _ := item.KeyExpr.Value(nil); key.AsString() == "version" {
					provider = append(provider, words(item.ValueExpr)...)
				}
			}
		}
		if len(terraform) != 1 || !pinned.MatchString(terraform[0]) {
			found = append(found, fmt.Sprintf("%s: required_version is %q, want ~>", dir, terraform))
		}
		if len(provider) != 1 || !pinned.MatchString(provider[0]) {
			found = append(found, fmt.Sprintf("%s: the provider's version is %q, want ~>", dir, provider))
		}
	}
	return found
}
