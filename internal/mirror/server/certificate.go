package server

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"github.com/open-executor/executor/internal/fault"
)

// certificate is read anew when its file changes: certificates are renewed more often than mirrors are restarted.
type certificate struct {
	cert, key string

	mu       sync.Mutex
	modified time.Time
	loaded   *tls.Certificate
}

func loadCertificate(cert, key string) (*certificate, error) {
	c := &certificate{cert: cert, key: key}
	if _, err := c.get(nil); err != nil {
		return nil, fault.Operatorf("tls-cert and tls-key: %w", err)
	}
	return c, nil
}

// get serves the last good certificate while a new one can't be read, such as between the writing of its two files.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.cert)
	if err == nil && c.loaded != nil && info.ModTime().Equal(c.modified) {
		return c.loaded, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.cert, c.key)
	}
	if err != nil {
		if c.loaded != nil {
			return c.loaded, nil
		}
		return nil, err
	}
	c.loaded, c.modified = &pair, info.ModTime()
	return c.loaded, nil
}
