package file

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/readertest"
)

// What every reader must do.
func TestReader(t *testing.T) {
	for _, watched := range []bool{true, false} {
		t.Run(fmt.Sprint("watched=", watched), func(t *testing.T) {
			readertest.Run(t, func(t *testing.T) *readertest.Source { return source(t, watched) })
		})
	}
}

// source is a log file as the driver json-file writes it.
func source(t *testing.T, watched bool) *readertest.Source {
	path := filepath.Join(t.TempDir(), "c-json.log")
	must(t, os.WriteFile(path, nil, 0o600))
	at := time.Now().UTC()
	write := func(std string) func(lines ...string) {
		return func(lines ...string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			for _, line := range lines {
				at = at.Add(time.Microsecond)
				for line += "\n"; line != ""; {
					n := min(len(line), decode.ChunkSize)
					_, err := fmt.Fprintf(f, `{"log":%q,"stream":%q,"time":%q}`+"\n", line[:n], std, at.Format(time.RFC3339Nano))
					must(t, err)
					line = line[n:]
				}
			}
			must(t, f.Close())
		}
	}
	x := &readertest.Source{
		Container: container.Container{ID: "c", Driver: container.JSONFile, LogPath: path, MaxFile: 1},
		Stdout:    write("stdout"), Stderr: write("stderr"),
		Cut: func() {
			must(t, os.Remove(path))
			must(t, os.WriteFile(path, nil, 0o600))
		},
	}
	shared := NewShared(slog.New(slog.DiscardHandler), readertest.New(t, x.Container).Metrics.Damaged, nil)
	if watched {
		t.Cleanup(shared.Watch())
	}
	memory := &Memory{}
	x.Open = func(s *readertest.Stream) reader.Reader { return New(s.Log, s, shared, memory) }
	return x
}
