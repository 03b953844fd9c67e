package terraform_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// shape is what a block may hold, as the providers' documentation has it. Of their hundreds of attributes it has those that are of use here:
// add what a change needs, after a look there. "!" ends the names of what is required.
type shape struct {
	args string
	// gives are attributes that are only read.
	gives  string
	blocks map[string]shape
}

func (s shape) has(name string) bool {
	return name == "id" || slices.Contains(strings.Fields(strings.ReplaceAll(s.args, "!", "")+" "+s.gives), name)
}

// schemas are by "resource TYPE" and "data TYPE".
var schemas = func() map[string]shape {
	all := maps.Clone(amazon)
	maps.Copy(all, google)
	return all
}()

var meta = map[string]shape{
	"resource": {
		args:   "count for_each depends_on provider",
		blocks: map[string]shape{"lifecycle": {args: "create_before_destroy prevent_destroy ignore_changes replace_triggered_by"}},
	},
	"data": {args: "count for_each depends_on provider"},
}

// checkSchema finds types, attributes and blocks that the providers don't have, and required ones that are missing.
func checkSchema(all tree) []string {
	var found []string
	for dir, m := range all {
		for kind, blocks := range map[string]map[string]*hclsyntax.Block{"resource": m.resources, "data": m.data} {
			for address, block := range blocks {
				say := func(what string) { found = append(found, fmt.Sprintf("%s: %s %s %s", dir, kind, address, what)) }
				schema, ok := schemas[kind+" "+block.Labels[0]]
				if !ok {
					say("is of a type that the table of schemas doesn't have")
					continue
				}
				schema.args += " " + meta[kind].args
				schema.blocks = maps.Clone(schema.blocks)
				if schema.blocks == nil {
					schema.blocks = make(map[string]shape)
				}
				maps.Copy(schema.blocks, meta[kind].blocks)
				fits(block.Body, schema, "", say)
			}
		}
	}
	return found
}

func fits(body *hclsyntax.Body, schema shape, at string, say func(string)) {
	settable := shape{args: schema.args}
	for name := range body.Attributes {
		if !settable.has(name) || name == "id" && !strings.Contains(" "+schema.args+" ", " id ") {
			say("has no attribute " + at + name)
		}
	}
	for word := range strings.FieldsSeq(schema.args) {
		if name, required := strings.CutSuffix(word, "!"); required && body.Attributes[name] == nil {
			say("lacks " + at + name)
		}
	}
	there := make(map[string]bool)
	for _, block := range body.Blocks {
		name, inner := block.Type, block.Body
		if block.Type == "dynamic" {
			name = block.Labels[0]
			inner = block.Body.Blocks[0].Body
		}
		there[name] = true
		below, ok := schema.blocks[name]
		if !ok {
			below, ok = schema.blocks[name+"!"]
		}
		if !ok {
			say("has no block " + at + name)
			continue
		}
		fits(inner, below, at+name+".", say)
	}
	for name := range schema.blocks {
		if name, required := strings.CutSuffix(name, "!"); required && !there[name] {
			say("lacks the block " + at + name)
		}
	}
}
