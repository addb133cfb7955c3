package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestLine: a line of each payload has its size and its number, and that of json is an object.
func TestLine(t *testing.T) {
	for payload := range payloads {
		g := generator{run: "run", payload: payload}
		for _, size := range []int{60, 129, 20_000} {
			line := string(g.appendLine(nil, "stderr", 42, size))
			if len(line) != size {
				t.Errorf("%s: %d bytes instead of %d: %.100s", payload, len(line), size, line)
			}
			text := line
			if payload == "json" {
				var object struct{ Msg string }
				if err := json.Unmarshal([]byte(line), &object); err != nil {
					t.Fatal(err)
				}
				text = object.Msg
			}
			if payload != "identical" && !strings.HasPrefix(text, "run stderr 42 ") {
				t.Errorf("%s: %.100s", payload, line)
			}
			if escaped, err := json.Marshal(line); payload == "plain" && (err != nil || string(escaped) != fmt.Sprintf("%q", line) || len(escaped) != len(line)+2) {
				t.Errorf("it is escaped: %.100s", escaped)
			}
		}
	}
}
