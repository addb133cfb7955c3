// Package testkit holds what the tests of all rooms share.
package testkit

import "testing"

// Stamp is a time as the Engine writes it before a record.
const Stamp = "2026-11-23T14:05:06.789012345Z"

// Must ends the test at an error.
func Must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// CheckSequence compares lines: each once, in order. It ends the test where they differ.
func CheckSequence(tb testing.TB, what string, want, have []string) {
	tb.Helper()
	for i := range max(len(want), len(have)) {
		switch {
		case i >= len(want):
			tb.Fatalf("%s: %d lines too many, the first is %.80q", what, len(have)-len(want), have[i])
		case i >= len(have):
			tb.Fatalf("%s: %d of %d lines missing, the first is %.80q", what, len(want)-len(have), len(want), want[i])
		case want[i] != have[i]:
			tb.Fatalf("%s: line %d is %.80q, not %.80q", what, i, have[i], want[i])
		}
	}
}
