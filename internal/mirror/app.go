package mirror

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the one driver that is used
	"github.com/sirupsen/logrus"
	"github.com/sourcegraph/log"

	"github.com/open-executor/executor/internal/mirror/origin"
)

// schemes numbers the URL schemes under which the distribution reaches our upstreams.
var schemes atomic.Int64

// newApp makes a distribution that proxies what client reaches.
//
// The distribution asks its upstream through http.DefaultTransport, without bounds, with credentials that it can learn only while the
// upstream answers, and gives up at the start when it doesn't. So it is given an upstream of a scheme of its own, behind which is our client.
// Its own expiry is switched off: that knows neither the disk nor what is in use, and leaves the content of expired manifests behind.
func newApp(ctx context.Context, logger log.Logger, dir string, client *origin.Client) (app *handlers.App, err error) {
	quietLogs(logger)
	scheme := fmt.Sprintf("mirror%d", schemes.Add(1))
	http.DefaultTransport.(*http.Transport).RegisterProtocol(scheme, client)
	never, writing := time.Duration(0), fetchTimeout
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem":  {"rootdirectory": dir},
			"delete":      {"enabled": false},
			"redirect":    {"disable": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}}, // the shelf is tidied when it is opened
		},
		Proxy:      configuration.Proxy{RemoteURL: scheme + "://upstream", TTL: &never, CacheWriteTimeout: &writing},
		Validation: configuration.Validation{Disabled: true},
	}
	config.HTTP.Headers = http.Header{"X-Content-Type-Options": {"nosniff"}}
	// NewApp panics on what it doesn't like.
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("the registry can't start: %v", problem)
		}
	}()
	return handlers.NewApp(ctx, config), nil
}

var quiet sync.Once

// quietLogs sends the distribution's errors to our log, once in a process, and drops its chatter.
func quietLogs(logger log.Logger) {
	quiet.Do(func() {
		logrus.SetOutput(io.Discard)
		logrus.SetLevel(logrus.ErrorLevel)
		logrus.AddHook(forward{logger.Scoped("distribution")})
	})
}

type forward struct{ logger log.Logger }

func (forward) Levels() []logrus.Level { return []logrus.Level{logrus.ErrorLevel} }

// Fire logs a warning: what a client is told is logged by ourselves.
func (f forward) Fire(entry *logrus.Entry) error {
	if entry.Message != "response completed with error" {
		f.logger.Warn(entry.Message)
	}
	return nil
}
