package jobfile

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads exactly one YAML document. Aliases and merge keys are expanded within bounds.
func parseYAML(data []byte) (*node, error) {
	if len(data) > MaxYAMLBytes {
		return nil, tooLarge("YAML job file", len(data), MaxYAMLBytes)
	}
	if err := checkControls(data); err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, next yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, syntaxError(1, 1, "the job file is empty: it needs at least steps")
	case err != nil:
		return nil, explainYAML(data, err)
	}
	switch err := decoder.Decode(&next); {
	case err == nil:
		return nil, syntaxError(next.Line, next.Column, "a second document begins: a file holds one job, so remove the --- or split the file")
	case !errors.Is(err, io.EOF):
		return nil, explainYAML(data, err)
	}
	c := yamlConverter{open: make(map[*yaml.Node]bool)}
	return c.convert(document.Content[0], 0)
}

// yamlConverter turns a parsed YAML document into our tree.
type yamlConverter struct {
	nodes, bytes int
	// open are the nodes being converted: an alias to one of them has no end.
	open map[*yaml.Node]bool
}

func (c *yamlConverter) convert(from *yaml.Node, depth int) (*node, error) {
	line, column := from.Line, from.Column
	if from.Kind == yaml.AliasNode {
		if from = from.Alias; c.open[from] {
			return nil, syntaxError(line, column, "alias *%s stands inside its own anchor", from.Anchor)
		}
	}
	if c.nodes++; c.nodes > maxNodes {
		return nil, syntaxError(line, column, "more than %d values once aliases are expanded", maxNodes)
	}
	if c.bytes += len(from.Value); c.bytes > MaxYAMLBytes {
		return nil, syntaxError(line, column, "more than %d bytes of text once aliases are expanded", MaxYAMLBytes)
	}
	if depth > maxDepth {
		return nil, syntaxError(line, column, "nested deeper than %d levels", maxDepth)
	}
	c.open[from] = true
	defer delete(c.open, from)
	n := &node{line: line, column: column}
	switch tag := from.ShortTag(); {
	case from.Kind == yaml.ScalarNode:
		return n, c.scalar(n, from)
	case from.Kind == yaml.SequenceNode && tag == "!!seq":
		n.kind = list
		return n, c.list(n, from, depth)
	case from.Kind == yaml.MappingNode && tag == "!!map":
		n.kind = mapping
		return n, c.mapping(n, from, depth)
	default:
		return nil, unknownTag(n, tag)
	}
}

func (c *yamlConverter) scalar(n *node, from *yaml.Node) error {
	n.text = from.Value
	switch tag := from.ShortTag(); tag {
	case "!!str", "!!timestamp", "!!merge":
		n.typ = typeText
	case "!!int":
		n.typ = typeInt
	case "!!float":
		n.typ = typeFloat
	case "!!bool":
		n.typ = typeBool
	case "!!null":
		n.typ = typeNull
	default:
		return unknownTag(n, tag)
	}
	return nil
}

func (c *yamlConverter) list(n *node, from *yaml.Node, depth int) error {
	for _, item := range from.Content {
		converted, err := c.convert(item, depth+1)
		if err != nil {
			return err
		}
		n.items = append(n.items, converted)
	}
	return nil
}

func (c *yamlConverter) mapping(n *node, from *yaml.Node, depth int) error {
	var merged []*node
	for i := 0; i+1 < len(from.Content); i += 2 {
		name, err := c.convert(from.Content[i], depth+1)
		if err != nil {
			return err
		}
		value, err := c.convert(from.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		if from.Content[i].ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		n.members = append(n.members, member{name, value})
	}
	return mergeInto(n, merged)
}

// mergeInto adds what merge keys (<<) bring to n's members: members of n itself win, and earlier mappings over later ones.
func mergeInto(n *node, sources []*node) error {
	if len(sources) == 0 {
		return nil
	}
	have := make(map[string]bool, len(n.members))
	for _, m := range n.members {
		have[m.name.text] = true
	}
	add := func(source *node) error {
		if source.kind != mapping {
			return syntaxError(source.line, source.column, "<< wants a mapping, or a list of mappings, got %s", source.describe())
		}
		for _, m := range source.members {
			if !have[m.name.text] {
				have[m.name.text] = true
				n.members = append(n.members, m)
			}
		}
		return nil
	}
	for _, source := range sources {
		items := []*node{source}
		if source.kind == list {
			items = source.items
		}
		for _, item := range items {
			if err := add(item); err != nil {
				return err
			}
		}
	}
	return nil
}

func unknownTag(n *node, tag string) error {
	return syntaxError(n.line, n.column, "the YAML tag %s has no meaning in a job file: remove it (binary contents go with encoding: base64)", tag)
}
