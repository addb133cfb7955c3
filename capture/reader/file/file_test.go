package file

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/inotify"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/readertest"
	"fluent-bit-docker-logs/capture/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	must          = testkit.Must
	checkSequence = testkit.CheckSequence
)

var (
	_ reader.Open = (*Reader)(nil)
	_ Host        = (*readertest.Stream)(nil)
)

// jsonFile is a log file with lines from first on.
func jsonFile(from, to int) (b []byte) {
	for i := from; i < to; i++ {
		b = fmt.Appendf(b, `{"log":"line %d\n","stream":"stdout","time":"2026-11-23T14:05:06.%09dZ"}`+"\n", i, i)
	}
	return b
}

func linesUpTo(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("line ", i))
	}
	return all
}

// newReader makes a reader of the log file at path, and its stream.
func newReader(t *testing.T, path string) (*Reader, *readertest.Stream) {
	s := readertest.New(t, container.Container{ID: "c", Driver: container.JSONFile, LogPath: path, MaxFile: 3, MaxSize: 1 << 20})
	return New(s.Log, s, NewShared(slog.New(slog.DiscardHandler), s.Metrics.Damaged, nil), &Memory{}), s
}

// A read to the end goes through all files, and the next one goes on behind it.
func TestReadToTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	must(t, os.WriteFile(path+".1", jsonFile(0, 10), 0o600))
	must(t, os.WriteFile(path, jsonFile(10, 20), 0o600))
	r, s := newReader(t, path)
	must(t, r.Read(t.Context(), false))
	checkSequence(t, "lines", linesUpTo(20), s.Texts())
	if r.memory.Behind() || r.shared.Open.Load() != 0 {
		t.Errorf("behind: %v, %d files are open", r.memory.Behind(), r.shared.Open.Load())
	}
	must(t, os.Rename(path+".1", path+".2"))
	must(t, os.Rename(path, path+".1"))
	must(t, os.WriteFile(path, jsonFile(20, 30), 0o600))
	if !r.memory.Behind() {
		t.Error("a log that has grown is not known to have more")
	}
	must(t, r.Read(t.Context(), false))
	checkSequence(t, "more lines", linesUpTo(30)[20:], s.Texts())
	if n := s.Gaps(); n != 0 {
		t.Errorf("%d gaps, %q", n, s.Notes())
	}
}

// A file that is no log is not read, and not looked at again.
func TestAlienFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	must(t, os.WriteFile(path, bytes.Repeat([]byte("no record\n"), 100), 0o600))
	r, s := newReader(t, path)
	if err := r.Read(t.Context(), false); err == nil || !r.memory.IsAlien() || len(s.Texts()) != 0 {
		t.Errorf("%v, alien: %v", err, r.memory.IsAlien())
	}
}

// Files that log rotation drops after the last look at a log that has ended, and
// that are removed with their container before the next: a gap, whatever told of
// the end.
func TestFilesRemovedBehindTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "c-json.log")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, jsonFile(0, 100), 0o600))
	r, s := newReader(t, path)
	defer r.shared.Watch()()
	l := newLog(r.log, r.shared, r.memory, r.turn, path)
	defer l.close()
	must(t, l.open())
	must(t, l.begin(t.Context()))
	must(t, l.seek(t.Context()))
	for range 2 {
		must(t, os.Remove(path))
		must(t, os.WriteFile(path, jsonFile(100, 200), 0o600))
	}
	must(t, os.RemoveAll(filepath.Dir(path)))
	must(t, l.run(t.Context(), false))
	if n := s.Gaps(); n != 1 {
		t.Errorf("%d gaps", n)
	}
	if n := testutil.ToFloat64(s.Metrics.Lines); n != 100 {
		t.Errorf("%v lines of the first file", n)
	}
}

// A file that was created right before the container stopped is read, although the
// word of it is late.
func TestEndIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	must(t, os.WriteFile(path, jsonFile(0, 10), 0o600))
	r, s := newReader(t, path)
	s.Describe(func(c *container.Container) { c.Running = true })
	w, err := inotify.New() // it tells nobody anything
	must(t, err)
	defer w.Close()
	r.shared.watch.Store(w)
	poke := make(chan struct{}, 1)
	s.Log.Poke = poke
	done := make(chan error)
	go func() { done <- r.Read(t.Context(), true) }()
	checkSequence(t, "lines", linesUpTo(10), s.WaitTexts(10))
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, jsonFile(10, 20), 0o600))
	s.Describe(func(c *container.Container) { c.Running = false })
	poke <- struct{}{}
	must(t, <-done)
	checkSequence(t, "more lines", linesUpTo(20)[10:], s.Texts())
}

// Where the kernel had too much to tell, the file is polled, and that is said.
func TestOverflowIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	must(t, os.WriteFile(path, jsonFile(0, 10), 0o600))
	r, s := newReader(t, path)
	var said bytes.Buffer
	r.shared.log = slog.New(slog.NewTextHandler(&said, nil))
	defer r.shared.Watch()()
	l := newLog(r.log, r.shared, r.memory, r.turn, path)
	defer l.close()
	must(t, l.open())
	must(t, l.begin(t.Context()))
	must(t, l.seek(t.Context()))
	l.created.Lost.Store(true)
	must(t, l.run(t.Context(), false))
	if l.created != nil || !strings.Contains(said.String(), "max_queued_events") {
		t.Errorf("counted: %v, said: %s", l.created != nil, said.String())
	}
	checkSequence(t, "lines", linesUpTo(10), s.Texts())
}
