package frontendconfig

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
	"github.com/open-executor/executor/internal/fault"
)

func TestDataDir(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  map[string]string
		host config.Host
		want string
	}{
		"given":            {map[string]string{"FRONTEND_DATA_DIR": "/srv/jobs"}, config.Host{}, "/srv/jobs"},
		"given, relative":  {map[string]string{"FRONTEND_DATA_DIR": "jobs"}, config.Host{WorkDir: "/srv"}, "/srv/jobs"},
		"root":             {map[string]string{"HOME": "/root"}, config.Host{UID: 0}, "/var/lib/open-executor"},
		"XDG":              {map[string]string{"HOME": "/home/me", "XDG_DATA_HOME": "/data"}, config.Host{UID: 7}, "/data/open-executor"},
		"home":             {map[string]string{"HOME": "/home/me", "XDG_DATA_HOME": "relative"}, config.Host{UID: 7}, "/home/me/.local/share/open-executor"},
		"no home at all":   {nil, config.Host{UID: 7}, ""},
		"no absolute home": {map[string]string{"HOME": "here"}, config.Host{UID: 7}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := DataDir(func(name string) (string, bool) { value, ok := test.env[name]; return value, ok }, test.host)
			if test.want == "" {
				require.ErrorContains(t, err, "FRONTEND_DATA_DIR")
				require.Equal(t, fault.Operator, fault.ClassOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}
