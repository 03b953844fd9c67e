// Package dispatch decides what an executor gets: it turns a leased job into the wire's form, chooses among several queues,
// and puts back what dead executors left behind.
package dispatch
