// Package testkit holds what the tests of all rooms share.
package testkit

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"
)

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

// FDs is how many file descriptors this process has open.
func FDs() int {
	open, _ := os.ReadDir("/proc/self/fd") // of what is there by then
	return len(open) - 1                   // that by which they are listed
}

// Asking asks over HTTP. It keeps no connection, so that goleak sees none.
var Asking = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

// Ask asks for a page.
func Ask(t *testing.T, method, url string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	Must(t, err)
	res, err := Asking.Do(req)
	Must(t, err)
	b, err := io.ReadAll(res.Body)
	Must(t, err)
	Must(t, res.Body.Close())
	return res.StatusCode, string(b)
}

// Sequence is what a test writes: "std n".
func Sequence(std string, from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("%s %d", std, i))
	}
	return lines
}
