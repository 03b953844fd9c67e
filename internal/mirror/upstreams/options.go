package upstreams

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// onlyDefaults are the options that a line of defaults may have.
var onlyDefaults = map[string]bool{
	"address": true, "metrics-address": true, "data": true, "max-age": true, "disk-high": true, "disk-low": true, "max-blob": true,
	"tls-cert": true, "tls-key": true,
}

var setters = map[string]func(one *Upstream, value string) error{
	"address": func(one *Upstream, value string) (err error) {
		one.Address, err = parseIP(value)
		return err
	},
	"metrics-address": func(one *Upstream, value string) (err error) {
		one.MetricsAddress, err = parseIP(value)
		return err
	},
	"port": func(one *Upstream, value string) (err error) {
		one.Port, err = strconv.Atoi(value)
		if err != nil || one.Port < 1024 || one.Port > 65534 {
			return errors.New("want a port from 1024 to 65534; metrics take the one above it")
		}
		return nil
	},
	"data": func(one *Upstream, value string) (err error) {
		one.Data, err = parsePath(value)
		return err
	},
	"credentials": func(one *Upstream, value string) (err error) {
		one.CredentialsFile, err = parsePath(value)
		return err
	},
	"tls-cert": func(one *Upstream, value string) (err error) {
		one.TLSCert, err = parsePath(value)
		return err
	},
	"tls-key": func(one *Upstream, value string) (err error) {
		one.TLSKey, err = parsePath(value)
		return err
	},
	"health": func(one *Upstream, value string) error {
		if value == "none" {
			value = ""
		}
		one.HealthImage = value
		return nil
	},
	"max-age": func(one *Upstream, value string) (err error) {
		if value == "never" {
			one.MaxAge = 0
			return nil
		}
		one.MaxAge, err = time.ParseDuration(value)
		if err != nil || one.MaxAge < time.Hour {
			return errors.New(`want at least an hour, such as 336h, or "never"`)
		}
		return nil
	},
	"disk-high": func(one *Upstream, value string) (err error) {
		one.High, err = parseMark(value)
		return err
	},
	"disk-low": func(one *Upstream, value string) (err error) {
		one.Low, err = parseMark(value)
		return err
	},
	"max-blob": func(one *Upstream, value string) (err error) {
		one.MaxBlob, err = parseBytes(value)
		return err
	},
}

func optionNames() []string { return slices.Sorted(maps.Keys(setters)) }

func parseIP(value string) (string, error) {
	if net.ParseIP(value) == nil {
		return "", fmt.Errorf("want an IP address")
	}
	return value, nil
}

func parsePath(value string) (string, error) {
	if !filepath.IsAbs(value) || filepath.Clean(value) != value {
		return "", fmt.Errorf("want an absolute path")
	}
	return value, nil
}
