// Package terraform_test holds the Terraform modules beside it to what Terraform itself would say, as far as that can be told without the
// providers, to the machine images' first boot, and to a few rules of our own.
package terraform_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// module is what the files of one folder declare. Resources and data are by "type.name".
type module struct {
	blocks    []*hclsyntax.Block
	variables map[string]*hclsyntax.Block
	outputs   map[string]*hclsyntax.Block
	resources map[string]*hclsyntax.Block
	data      map[string]*hclsyntax.Block
	calls     map[string]*hclsyntax.Block
	locals    map[string]*hclsyntax.Attribute
}

// tree is all modules by their folder.
type tree map[string]*module

// files are the texts of all .tf files, by path.
func files(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	root := os.DirFS(".")
	for _, pattern := range []string{"*/*/*.tf", "*/examples/*/*.tf"} {
		names, err := fs.Glob(root, pattern)
		require.NoError(t, err)
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			require.NoError(t, err)
			texts[name] = string(text)
		}
	}
	require.GreaterOrEqual(t, len(texts), 40, "modules are missing")
	return texts
}

// load parses the files; what can't be read, or is declared twice, is an error.
func load(texts map[string]string) (tree, error) {
	all := make(tree)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		file, problems := hclsyntax.ParseConfig([]byte(texts[name]), name, hcl.InitialPos)
		if problems.HasErrors() {
			return nil, problems
		}
		dir := path.Dir(name)
		if all[dir] == nil {
			all[dir] = &module{
				variables: make(map[string]*hclsyntax.Block), outputs: make(map[string]*hclsyntax.Block), resources: make(map[string]*hclsyntax.Block),
				data: make(map[string]*hclsyntax.Block), calls: make(map[string]*hclsyntax.Block), locals: make(map[string]*hclsyntax.Attribute),
			}
		}
		if err := all[dir].take(file.Body.(*hclsyntax.Body)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}

func (m *module) take(body *hclsyntax.Body) error {
	kinds := map[string]map[string]*hclsyntax.Block{
		"variable": m.variables, "output": m.outputs, "resource": m.resources, "data": m.data, "module": m.calls,
	}
	for _, block := range body.Blocks {
		m.blocks = append(m.blocks, block)
		name := strings.Join(block.Labels, ".")
		if kind, ok := kinds[block.Type]; ok {
			if kind[name] != nil {
				return fmt.Errorf("%s %s is declared twice", block.Type, name)
			}
			kind[name] = block
			continue
		}
		switch block.Type {
		case "locals":
			for name, attribute := range block.Body.Attributes {
				if m.locals[name] != nil {
					return fmt.Errorf("local %s is declared twice", name)
				}
				m.locals[name] = attribute
			}
		case "terraform", "provider":
		default:
			return fmt.Errorf("nobody knows the block %s", block.Type)
		}
	}
	return nil
}

// spot is an attribute, and where it stands.
type spot struct {
	top  *hclsyntax.Block
	path []string // of nested blocks; a dynamic block is what it makes
	attr *hclsyntax.Attribute
	// iterators are those of the dynamic blocks around.
	iterators []string
}

func (s spot) String() string {
	words := append([]string{s.top.Type}, s.top.Labels...)
	return fmt.Sprintf("%s: %s", s.attr.SrcRange.Filename, strings.Join(append(append(words, s.path...), s.attr.Name), "."))
}

// spots are all attributes of a module, in the order of the files.
func (m *module) spots() []spot {
	var all []spot
	for _, block := range m.blocks {
		all = append(all, within(block, block.Body, nil, nil)...)
	}
	return all
}

func within(top *hclsyntax.Block, body *hclsyntax.Body, at, iterators []string) []spot {
	var all []spot
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		all = append(all, spot{top: top, path: at, attr: body.Attributes[name], iterators: iterators})
	}
	for _, block := range body.Blocks {
		if block.Type != "dynamic" || len(block.Labels) != 1 {
			all = append(all, within(top, block.Body, append(slices.Clone(at), block.Type), iterators)...)
			continue
		}
		below := append(slices.Clone(at), block.Labels[0])
		all = append(all, within(top, &hclsyntax.Body{Attributes: block.Body.Attributes}, append(slices.Clone(at), "dynamic"), iterators)...)
		for _, content := range block.Body.Blocks {
			all = append(all, within(top, content.Body, below, append(slices.Clone(iterators), block.Labels[0]))...)
		}
	}
	return all
}

// words are the literal texts within an expression.
func words(expression hclsyntax.Expression) []string {
	var all []string
	//nolint:errcheck // the visitor finds no problems
	hclsyntax.VisitAll(expression, func(node hclsyntax.Node) hcl.Diagnostics {
		if literal, ok := node.(*hclsyntax.LiteralValueExpr); ok && literal.Val.Type().FriendlyName() == "string" {
			all = append(all, literal.Val.AsString())
		}
		return nil
	})
	return all
}

// text is an attribute's value where that is a plain text, else "".
func text(attribute *hclsyntax.Attribute) string {
	if attribute == nil {
		return ""
	}
	if all := words(attribute.Expr); len(all) == 1 && len(hclsyntax.Variables(attribute.Expr)) == 0 {
		return all[0]
	}
	return ""
}
