// Package executorapi is the frontend's side of the executor API under /.executors/ (spec frontend A2 to A4, A6; docs/protocol.md):
// the routes, their tokens, statuses and bodies, for queues of any name.
//
// Two kinds of token open it. G routes take the shared token of all executors ("token-executor <token>"). J routes take a
// job token ("Bearer <hex>"), which is good for one job, one executor, one attempt, and only while the lease lives; the shared token
// opens them too, for executors that were given no job token.
package executorapi
