// Package step is the first process of a step's container: it waits for the agent's word, runs the step, and ends with it.
package step
