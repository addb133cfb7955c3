package testkit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Text is a line of 130 bytes, without its newline.
var Text = fmt.Appendf(nil, "%-129s", `{"level":"info","msg":"GET /api/v1/items/4711 200","took":"3.2ms"}`)

// JSONFile is a log file with n lines of that text.
func JSONFile(tb testing.TB, n int) string {
	path := filepath.Join(tb.TempDir(), "c-json.log")
	line := fmt.Appendf(nil, `{"log":"%s\n","stream":"stdout","time":%q}`+"\n", bytes.ReplaceAll(Text, []byte(`"`), []byte(`\"`)), Stamp)
	if err := os.WriteFile(path, bytes.Repeat(line, n), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
