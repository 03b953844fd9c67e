package frontendconfig

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// member is one entry of a mapping.
type member struct {
	name       string
	key, value *yaml.Node
}

// members returns the entries of a mapping in order. Keys that are no text, or stand there twice, are errors.
func members(node *yaml.Node) ([]member, error) {
	if node.Kind != yaml.MappingNode {
		return nil, atLine(node, "want a mapping, got %s", kindName(node))
	}
	var entries []member
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name, err := text(key)
		if err != nil {
			return nil, err
		}
		if line, ok := seen[name]; ok {
			return nil, atLine(key, "%q stands already in line %d", name, line)
		}
		seen[name] = key.Line
		entries = append(entries, member{name, key, value})
	}
	return entries, nil
}

// text returns a scalar's text. Numbers and the like are text as well: a password may consist of digits.
func text(node *yaml.Node) (string, error) {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Tag == "!!merge" {
		return "", atLine(node, "want text, got %s", kindName(node))
	}
	return node.Value, nil
}

func kindName(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch node.Tag {
	case "!!null":
		return "nothing"
	case "!!merge":
		return "a merge key"
	}
	return "text"
}

func atLine(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{node.Line}, args...)...)
}
