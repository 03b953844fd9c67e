package terraform_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// functions are those of Terraform's that the modules call.
var functions = strings.Fields(`alltrue base64encode can ceil cidrnetmask cidrsubnet compact contains distinct endswith floor join keys
	length max merge min one range regex replace setproduct sort split startswith tonumber toset try values yamlencode`)

// checkReferences finds what is referred to and isn't there.
func checkReferences(all tree) []string {
	var found []string
	for _, m := range all {
		for _, at := range m.spots() {
			if slices.Contains(at.path, "lifecycle") && at.attr.Name == "ignore_changes" {
				continue // names of attributes
			}
			if at.top.Type == "variable" && at.attr.Name == "type" {
				if _, problems := typeexpr.TypeConstraint(at.attr.Expr); problems.HasErrors() {
					found = append(found, fmt.Sprintf("%s: %s", at, problems.Error()))
				}
				continue
			}
			for _, traversal := range hclsyntax.Variables(at.attr.Expr) {
				if problem := m.resolve(all, at, traversal); problem != "" {
					found = append(found, fmt.Sprintf("%s: %s", at, problem))
				}
			}
			//nolint:errcheck // the visitor finds no problems
			hclsyntax.VisitAll(at.attr.Expr, func(node hclsyntax.Node) hcl.Diagnostics {
				if call, ok := node.(*hclsyntax.FunctionCallExpr); ok && !slices.Contains(functions, call.Name) {
					found = append(found, fmt.Sprintf("%s: there is no function %s", at, call.Name))
				}
				return nil
			})
		}
	}
	return found
}

// resolve says what is wrong with a reference; "" when nothing is.
func (m *module) resolve(all tree, at spot, traversal hcl.Traversal) string {
	root := traversal.RootName()
	name := attribute(traversal, 1)
	switch {
	case slices.Contains(at.iterators, root):
		if name != "key" && name != "value" {
			return fmt.Sprintf("%s has no %s", root, name)
		}
	case root == "var":
		if m.variables[name] == nil {
			return "there is no variable " + name
		}
	case root == "local":
		if m.locals[name] == nil {
			return "there is no local " + name
		}
	case root == "path":
		if name != "module" {
			return "there is no path." + name
		}
	case root == "each", root == "count":
		meta := map[string]string{"each": "for_each", "count": "count"}[root]
		if at.top.Body.Attributes[meta] == nil {
			return fmt.Sprintf("%s without %s", root, meta)
		}
	case root == "module":
		call := m.calls[name]
		if call == nil {
			return "there is no module " + name
		}
		if output := attribute(traversal, 2); all[called(at, call)] == nil || all[called(at, call)].outputs[output] == nil {
			return fmt.Sprintf("module %s has no output %s", name, output)
		}
	case root == "data":
		return instance(m.data, "data", traversal[1:])
	default:
		return instance(m.resources, "resource", traversal)
	}
	return ""
}

// instance checks type.name[index].attribute.
func instance(declared map[string]*hclsyntax.Block, kind string, traversal hcl.Traversal) string {
	step := func(i int) string {
		if len(traversal) == 0 {
			return ""
		}
		if root, ok := traversal[i].(hcl.TraverseRoot); ok {
			return root.Name
		}
		return attribute(traversal, i)
	}
	if len(traversal) < 2 {
		return "a reference to nothing in particular"
	}
	address := step(0) + "." + step(1)
	block := declared[address]
	if block == nil {
		return fmt.Sprintf("there is no %s %s", kind, address)
	}
	if len(traversal) == 2 {
		return "" // as a whole: depends_on, for_each, a splat
	}
	several := block.Body.Attributes["count"] != nil || block.Body.Attributes["for_each"] != nil
	next := 2
	if _, named := traversal[2].(hcl.TraverseAttr); !named {
		next = 3
	}
	if several != (next == 3) {
		return fmt.Sprintf("%s is one or several, and is referred to as the other", address)
	}
	if next < len(traversal) {
		if wanted := attribute(traversal, next); !schemas[kind+" "+step(0)].has(wanted) {
			return fmt.Sprintf("%s has no attribute %s", address, wanted)
		}
	}
	return ""
}

// attribute is the name of a traversal's step; "" for what has none.
func attribute(traversal hcl.Traversal, i int) string {
	if i < len(traversal) {
		if step, ok := traversal[i].(hcl.TraverseAttr); ok {
			return step.Name
		}
	}
	return ""
}
