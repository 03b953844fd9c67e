package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sourcegraph/log/logtest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/mirror"
	"github.com/open-executor/executor/internal/mirror/upstreams"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/docker/go-events.(*Broadcaster).run"))
}

// freePort finds a port that is free, as is the one above it.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := listener.Addr().(*net.TCPAddr).Port
		next, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
		require.NoError(t, listener.Close())
		if err == nil {
			require.NoError(t, next.Close())
			return port
		}
	}
}

func upstream(t *testing.T) upstreams.Upstream {
	t.Helper()
	nowhere, err := url.Parse("http://127.0.0.1:1")
	require.NoError(t, err)
	return upstreams.Upstream{
		Name: "hub", URL: nowhere, Address: "127.0.0.1", MetricsAddress: "127.0.0.1", Port: freePort(t), Data: t.TempDir(), MaxBlob: 1 << 20,
	}
}

func ask(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestServes(t *testing.T) {
	s, err := Start(logtest.Scoped(t), upstream(t))
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status, body := ask(t, client, "http://"+s.Address().String()+"/v2/")
	require.Equal(t, http.StatusOK, status, body)
	status, body = ask(t, client, "http://"+s.Address().String()+"/metrics")
	require.Equal(t, http.StatusNotFound, status, "metrics are not for clients: %s", body)
	status, body = ask(t, client, "http://"+s.Metrics().String()+"/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `registry_mirror_hit_ratio{upstream="hub"} 0`)
	status, body = ask(t, client, "http://"+s.Metrics().String()+"/debug/health")
	require.Equal(t, http.StatusOK, status)
	var health mirror.Health
	require.NoError(t, json.Unmarshal([]byte(body), &health))
	require.Equal(t, mirror.Healthy, health.Status)
	require.NoError(t, s.Alive(t.Context()))

	require.NoError(t, s.Stop())
	<-s.Done()
	require.NoError(t, s.Err())
	require.Error(t, s.Alive(context.WithoutCancel(t.Context())))
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	good := upstream(t)
	first, err := Start(logtest.Scoped(t), good)
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Stop()) }()
	other := upstream(t)
	for name, one := range map[string]func() upstreams.Upstream{
		"taken": func() upstreams.Upstream { return good },
		"no disk": func() upstreams.Upstream {
			one := other
			one.Data = filepath.Join(one.Data, "not-mounted")
			return one
		},
		"no credentials": func() upstreams.Upstream {
			one := other
			one.CredentialsFile = "/nonexistent"
			return one
		},
		"no certificate": func() upstreams.Upstream {
			one := other
			one.TLSCert, one.TLSKey = "/nonexistent", "/nonexistent"
			return one
		},
	} {
		_, err := Start(logtest.Scoped(t), one())
		require.Error(t, err, name)
		require.Equal(t, fault.Operator, fault.ClassOf(err), "%s: %v", name, err)
	}
	// Nothing is left behind by a start that fails.
	last, err := Start(logtest.Scoped(t), other)
	require.NoError(t, err)
	require.NoError(t, last.Stop())
}

// writeCertificate makes a certificate for 127.0.0.1 and returns what trusts it.
func writeCertificate(t *testing.T, cert, key string, modified time.Time) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.Chtimes(cert, modified, modified))
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

func TestCertificateIsReadAnew(t *testing.T) {
	one := upstream(t)
	one.TLSCert, one.TLSKey = filepath.Join(one.Data, "cert"), filepath.Join(one.Data, "key")
	pool := writeCertificate(t, one.TLSCert, one.TLSKey, time.Now().Add(-time.Hour))
	s, err := Start(logtest.Scoped(t), one)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	get := func(pool *x509.CertPool) int {
		t.Helper()
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
		status, _ := ask(t, &http.Client{Transport: transport}, "https://"+s.Address().String()+"/v2/")
		return status
	}
	require.Equal(t, http.StatusOK, get(pool))
	// Half of a renewal, then the whole.
	require.NoError(t, os.WriteFile(one.TLSCert, []byte("half"), 0o600))
	require.Equal(t, http.StatusOK, get(pool))
	require.Equal(t, http.StatusOK, get(writeCertificate(t, one.TLSCert, one.TLSKey, time.Now())))
}
