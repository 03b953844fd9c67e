package config_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
)

func TestSecretShowsNothing(t *testing.T) {
	t.Parallel()
	type pair struct{ User, Password string }
	holder := struct {
		Text config.Secret[string]
		Pair config.Secret[pair]
		Many []config.Secret[[]byte]
	}{
		config.NewSecret("hunter2"),
		config.NewSecret(pair{"me", "hunter2"}),
		[]config.Secret[[]byte]{config.NewSecret([]byte("hunter2"))},
	}
	encoded, err := json.Marshal(holder)
	require.NoError(t, err)
	shown := []string{string(encoded), holder.Text.String(), holder.Pair.GoString()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		shown = append(shown, fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder), fmt.Sprintf(verb, holder.Text))
	}
	for _, text := range shown {
		require.NotContains(t, text, "hunter2")
		require.NotContains(t, text, "68756e746572", "hexadecimal")
		require.NotContains(t, text, "104 117 110", "bytes")
	}
	require.JSONEq(t, `{"Text":"[secret]","Pair":"[secret]","Many":["[secret]"]}`, string(encoded))
	require.Equal(t, "hunter2", holder.Text.Reveal())
	require.Equal(t, pair{"me", "hunter2"}, holder.Pair.Reveal())

	text, err := holder.Text.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "[secret]", string(text))
}
