// Package gitproxy serves the repositories of a frontend to its executors, read-only, over git's smart HTTP protocol: local ones through
// git upload-pack, remote ones through a streaming proxy that keeps their credentials to itself. It also resolves branches and tags to
// commits.
package gitproxy
