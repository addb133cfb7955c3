package dockertest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/daemon/logger/jsonfilelog/jsonlog"

	"fluent-bit-docker-logs/capture/dockertest"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

// Every byte and some runes, written as moby's own code writes them, and the API shows what the file holds.
func TestJSONFileIsMobys(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{LogDir: t.TempDir()})
	var want bytes.Buffer
	var contents []string
	for i := range 256 {
		contents = append(contents, string([]byte{'<', byte(i), '>'}))
	}
	contents = append(contents, "日本語", "\u2028\u2029&\ufffd", "cut \xe6\x97", "")
	var shown []frame
	for i, s := range contents {
		ts := at(int64(i), int64(i)*1000)
		std := []dockertest.Std{dockertest.Stdout, dockertest.Stderr}[i%2]
		if s == "<\n>" {
			s = "<>"
		}
		c.WriteAt(ts, std, []byte(s+"\n"))
		must(t, (&jsonlog.JSONLogs{Log: []byte(s + "\n"), Stream: std.String(), Created: ts.UTC()}).MarshalJSONBuf(&want))
		want.WriteByte('\n')
		var valid strings.Builder
		for _, r := range s { // each bad byte is one U+FFFD
			valid.WriteRune(r)
		}
		shown = append(shown, frame{byte(std), valid.String() + "\n"})
	}
	got := read(t, c.LogPath())
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("got\n%s\nwant\n%s", got, want.Bytes())
	}
	fs := readLog(t, dial(t, e), c.ID, container.LogsOptions{})
	equal(t, "records", len(fs), len(shown))
	for i := range min(len(fs), len(shown)) {
		equal(t, "record", fs[i], shown[i])
	}
}

func TestLogRotation(t *testing.T) {
	for _, compress := range []bool{false, true} {
		e := dockertest.Start(t)
		c := e.Run(dockertest.Container{LogDir: t.TempDir(), MaxSize: 1000, MaxFile: 3, Compress: compress})
		var held *os.File
		for i := range 100 {
			c.WriteAt(at(int64(i), 0), dockertest.Stdout, fmt.Appendf(nil, "line %d\n", i))
			if i == 0 {
				f, err := os.Open(c.LogPath())
				must(t, err)
				held = f
				defer func() { _ = held.Close() }()
			}
		}
		first, err := io.ReadAll(held)
		must(t, err)
		// All of the log in the files, oldest first, is what a request shows.
		fs := readLog(t, dial(t, e), c.ID, container.LogsOptions{})
		e.Close() // compression is over
		var files []byte
		for _, n := range []string{".2", ".1", ""} {
			path := c.LogPath() + n
			if !compress || n == "" {
				b := read(t, path)
				if n != "" && (len(b) < 1000 || len(b) > 1100) {
					t.Errorf("%s has %d bytes", path, len(b))
				}
				files = append(files, b...)
				continue
			}
			zr, err := gzip.NewReader(bytes.NewReader(read(t, path+".gz")))
			must(t, err)
			b, err := io.ReadAll(zr)
			must(t, err)
			files = append(files, b...)
			var extra struct{ LastTime time.Time }
			must(t, json.Unmarshal(zr.Extra, &extra))
			if !bytes.Contains(b[len(b)-60:], []byte(extra.LastTime.Format(time.RFC3339Nano))) {
				t.Errorf("last time %v of %s", extra.LastTime, b[len(b)-60:])
			}
		}
		if _, err := os.Stat(c.LogPath() + ".3"); err == nil {
			t.Error("a fourth file")
		}
		if !bytes.Contains(first, []byte(`line 0\n`)) || bytes.Contains(files, first) {
			t.Error("the first file was to fall off, and a held file to stay readable")
		}
		lines := bytes.Count(files, []byte("\n"))
		equal(t, "records shown", len(fs), lines)
		equal(t, "oldest", fs[0].text, fmt.Sprintf("line %d\n", 100-lines))
	}
}

func TestSingleFileRotation(t *testing.T) {
	for _, tc := range []struct {
		api     string
		inPlace bool
		first   string // what is in .1 after a log rotation, where there was something else
	}{{"1.40", true, "stale"}, {"1.41", false, "old"}, {"1.51", false, "stale"}} {
		e := dockertest.Start(t, dockertest.WithAPIVersion(tc.api, ""))
		c := e.Run(dockertest.Container{LogDir: t.TempDir()})
		c.Stdout("old")
		old, err := os.Open(c.LogPath()) // held, or its inode number would be free for the next file
		must(t, err)
		before, err := old.Stat()
		must(t, err)
		must(t, os.WriteFile(c.LogPath()+".1", []byte("stale"), 0o600))
		must(t, c.RotateLog())
		c.Stdout("new")
		if b := read(t, c.LogPath()+".1"); !bytes.Contains(b, []byte(tc.first)) {
			t.Errorf("API %s: .1 holds %q", tc.api, b)
		}
		after, err := os.Stat(c.LogPath())
		must(t, err)
		equal(t, tc.api+" same inode", os.SameFile(before, after), tc.inPlace)
		_ = old.Close()
		equal(t, "log", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{})), "new$")
	}
}

func TestDamagedLogFile(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{LogDir: t.TempDir()})
	c.WriteAt(at(0, 0), dockertest.Stdout, []byte("a\n"))
	must(t, c.TearLog(dockertest.Stdout, "torn", 10))
	c.WriteAt(at(0, 0), dockertest.Stdout, []byte("b\n"))
	must(t, c.GarbageLog([]byte("\xff\n")))
	record := func(s string) string {
		return `{"log":"` + s + `\n","stream":"stdout","time":"2023-11-14T22:13:20Z"}` + "\n"
	}
	equal(t, "file", string(read(t, c.LogPath())), record("a")+`{"log":"to`+record("b")+"\xff\n")
	for _, nuls := range []bool{false, true} {
		must(t, c.TruncateLog(nuls))
		c.WriteAt(at(0, 0), dockertest.Stdout, []byte("c\n"))
		b := read(t, c.LogPath())
		equal(t, "leading NULs", b[0] == 0, nuls)
		equal(t, "file", strings.Trim(string(b), "\x00"), record("c"))
	}
	equal(t, "log", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{})), "a$|b$|c$|c$")
}

func TestRemovedFileStaysReadable(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{LogDir: t.TempDir(), AutoRemove: true})
	f, err := os.Open(c.LogPath())
	must(t, err)
	defer func() { _ = f.Close() }()
	c.Write(dockertest.Stdout, []byte("last"))
	c.Die(0)
	if _, err := os.Stat(c.LogPath()); err == nil {
		t.Error("the file is still there")
	}
	b, err := io.ReadAll(f)
	must(t, err)
	if !bytes.Contains(b, []byte(`"last"`)) {
		t.Errorf("%q", b)
	}
}
