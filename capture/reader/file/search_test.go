package file

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/readertest"
	"fluent-bit-docker-logs/capture/testkit"
)

// TestSearch goes through the table of testdata/search.txt.
func TestSearch(t *testing.T) {
	const table = "testdata/search.txt"
	testkit.Cases(t, table, 35, func(t *testing.T, first int, lines []string) {
		f := &files{t: t, path: filepath.Join(t.TempDir(), "log")}
		_, f.stream = newReader(t, f.path)
		have, asked := "", ""
		for i, line := range lines {
			verb, rest, _ := strings.Cut(line, " ")
			words := strings.Fields(rest)
			switch verb {
			case "#":
			case "log", "log.1", "log.2", "log.bak":
				f.write(verb, jsonLines(t, words))
			case "append":
				f.append(words[0], jsonLines(t, words[1:]))
			case "move":
				must(t, os.Rename(f.named(words[0]), f.named(words[1])))
			case "remove":
				must(t, os.Remove(f.named(words[0])))
			case "compress":
				f.compress(words[0])
			case "truncate":
				must(t, os.Truncate(f.named(words[0]), 0))
			case "restart":
				f.memory = Memory{}
			case "read":
				have, asked = f.read(), fmt.Sprint(line, " in line ", first+i)
			case "->":
				if have != rest {
					t.Errorf("%s:%d: %s: %q, not %q", table, first+i, asked, have, rest)
				}
			default:
				t.Fatalf("%s:%d: what is %q?", table, first+i, line)
			}
		}
	})
}

// files are those of a log, and what one capture of it knows of them.
type files struct {
	t      *testing.T
	path   string
	memory Memory
	stream *readertest.Stream
	gaps   int // counted before
}

func (f *files) named(name string) string { return f.path + strings.TrimPrefix(name, "log") }

// write makes a new file of that name.
func (f *files) write(name string, content []byte) {
	f.t.Helper()
	must(f.t, os.WriteFile(f.path+"~", content, 0o600))
	must(f.t, os.Rename(f.path+"~", f.named(name)))
}

func (f *files) append(name string, content []byte) {
	f.t.Helper()
	to, err := os.OpenFile(f.named(name), os.O_WRONLY|os.O_APPEND, 0)
	must(f.t, err)
	_, err = to.Write(content)
	must(f.t, errors.Join(err, to.Close()))
}

// compress does as the Engine does.
func (f *files) compress(name string) {
	f.t.Helper()
	content, err := os.ReadFile(f.named(name))
	must(f.t, err)
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, err = zip.Write(content)
	must(f.t, errors.Join(err, zip.Close()))
	f.write(name+".gz", b.Bytes())
	must(f.t, os.Remove(f.named(name)))
}

// read reads the log to its end as a stream does, and says what came.
func (f *files) read() string {
	f.t.Helper()
	shared := NewShared(f.stream.Log.Say, f.stream.Metrics.Damaged, nil)
	for range 3 {
		err := New(f.stream.Log, f.stream, shared, &f.memory).Read(f.t.Context(), false)
		if err == nil {
			break
		} else if !errors.Is(err, reader.ErrMoved) && !errors.Is(err, reader.ErrNotInView) {
			return err.Error()
		}
	}
	have := strings.Join(f.stream.Texts(), " ")
	if have == "" {
		have = "nothing"
	}
	if n := f.stream.Gaps() - f.gaps; n > 0 {
		f.gaps += n
		have += fmt.Sprintf(", %d gap", n)
	}
	return have
}

// jsonLines are lines of the json-file driver: TEXT[@SECONDS][*TIMES]. A letter is as many tenths of a second old as it stands
// behind a; ? is no time.
func jsonLines(t *testing.T, words []string) (b []byte) {
	t.Helper()
	for _, word := range words {
		word, times, _ := strings.Cut(word, "*")
		text, at, ok := strings.Cut(word, "@")
		if !ok {
			at = fmt.Sprint(10 + float64(text[0]-'a')/10)
		}
		stamp := "0001-01-01T00:00:00Z"
		if at != "?" {
			seconds, err := strconv.ParseFloat(at, 64)
			must(t, err)
			stamp = time.Unix(0, int64(seconds*10+.5)*int64(time.Second/10)+1).UTC().Format(time.RFC3339Nano)
		}
		n, err := strconv.Atoi(times)
		if err != nil {
			n = 1
		}
		for range n {
			b = fmt.Appendf(b, `{"log":"%s\n","stream":"stdout","time":%q}`+"\n", text, stamp)
		}
	}
	return b
}
