// Command configdoc writes docs/configuration.md to its standard output:
//
//	go run ./internal/config/configdoc >docs/configuration.md
package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"

	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/config/frontendconfig"
)

//go:generate sh -c "go run . >../../../docs/configuration.md"

// page is the document around the tables.
//
//go:embed page.md
var page string

func main() {
	if _, err := os.Stdout.WriteString(document()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func document() string {
	return strings.NewReplacer(
		"{{executor}}\n", executorconfig.Markdown(3),
		"{{frontend}}\n", frontendconfig.Markdown(3),
	).Replace(page)
}
