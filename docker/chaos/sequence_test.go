package chaos

import (
	"strings"
	"testing"
)

// TestIsPiece: a line of some of its records is a piece of it, with as many holes as may be; what is of another line is not.
func TestIsPiece(t *testing.T) {
	a, b, c, d := strings.Repeat("a", chunkSize), strings.Repeat("b", chunkSize), strings.Repeat("c", chunkSize), "the end"
	line := a + b + c + a + d
	for text, want := range map[string]bool{
		line: false, b + d: true, a + c + d: true, a + c + a: true, c + a + d: true, a + b: true, a + d: true,
		c + b + d: false, b + d + "x": false, a + "x" + d: false, "another": false,
	} {
		if isPiece(text, line) != want {
			t.Errorf("%d bytes, %.3q to %.3q: %v", len(text), text, text[max(0, len(text)-3):], !want)
		}
	}
	if isPiece("a", "ab") {
		t.Error("a line of one record has a piece")
	}
}
