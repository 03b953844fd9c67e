package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// report prints medians and 99th percentiles of two series that were measured in turn, and the ratio of the medians.
func report(name string, measured []time.Duration, bareName string, bare []time.Duration) {
	fmt.Printf("%-22s %10s %10s %6s\n", "", "median", "p99", "runs")
	row(name, measured)
	row(bareName, bare)
	ratio := float64(quantile(measured, 0.5)) / float64(quantile(bare, 0.5))
	fmt.Printf("ratio of medians, %s / %s: %.2f\n", name, bareName, ratio)
}

func row(name string, series []time.Duration) {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	fmt.Printf("%-22s %10s %10s %6d\n", name, round(quantile(series, 0.5)), round(quantile(series, 0.99)), len(series))
}

// quantile is the nearest-rank quantile of a series that isn't empty.
func quantile(series []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(series))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
