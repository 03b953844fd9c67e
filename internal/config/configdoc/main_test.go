package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config/executorconfig"
	"github.com/open-executor/executor/internal/config/frontendconfig"
)

func TestTheDocumentIsInStep(t *testing.T) {
	t.Parallel()
	written, err := os.ReadFile("../../../docs/configuration.md")
	require.NoError(t, err)
	require.Equal(t, document(), string(written),
		"docs/configuration.md is not what the tables say. Make it anew: go run ./internal/config/configdoc >docs/configuration.md")
}

func TestTheDocumentHasEveryVariable(t *testing.T) {
	t.Parallel()
	text := document()
	require.NotContains(t, text, "{{")
	for _, variable := range append(executorconfig.Variables(), frontendconfig.Variables()...) {
		require.Equal(t, 1, strings.Count(text, "\n| `"+variable.Name+"` | "), variable.Name)
	}
}
