// Package api is the wire between a frontend and its executors: every request, response and job type of the executor
// API, byte-compatible with the reference (docs/protocol.md). It imports nothing of ours.
//
// Decoding is lenient the way the reference is: member names match case-insensitively, unknown members are ignored,
// and job ids may be numbers or strings. Encoding is strict: each type encodes to exactly the members that the
// reference sends. Values are plain data; none of them may be shared between goroutines while one of them writes.
package api
