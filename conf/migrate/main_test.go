package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/docker/debian"
)

// That docker_logs goes on exactly behind such a position, with a real tail and a real Engine, is proved by TestMigrate of plugin/e2e.

const tableSQL = "CREATE TABLE in_tail_files (id INTEGER PRIMARY KEY, name TEXT NOT NULL, offset INTEGER, inode INTEGER, created INTEGER, rotated INTEGER DEFAULT 0);"

// world is a directory with containers' logs, and tail's database.
type world struct {
	*testing.T
	dir string
}

func newWorld(t *testing.T) world {
	t.Helper()
	if _, err := debian.Program(t.Context(), "sqlite3", "sqlite3"); err != nil {
		t.Skip(err)
	}
	return world{t, t.TempDir()}
}

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

// put writes a file below the directory, and returns its inode.
func (w world) put(name, text string) uint64 {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	fi, err := os.Stat(w.path(name))
	if err != nil {
		w.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}

// sql makes tail.db.
func (w world) sql(statements ...string) {
	w.Helper()
	if out, err := exec.CommandContext(w.Context(), "sqlite3", w.path("tail.db"), strings.Join(statements, ";")).CombinedOutput(); err != nil {
		w.Fatalf("%v\n%s", err, out)
	}
}

func (w world) insert(name string, offset int, inode uint64, created int) string {
	return fmt.Sprintf("INSERT INTO in_tail_files (name, offset, inode, created) VALUES ('%s', %d, %d, %d)", w.path(name), offset, inode, created)
}

// id is a container's; name its current log.
func id(c byte) string   { return strings.Repeat(string(c), 64) }
func name(c byte) string { return id(c) + "/" + id(c) + "-json.log" }
func record(i int) string {
	return fmt.Sprintf(`{"log":"l\"%d\n","stream":"stderr","time":"2026-01-02T03:04:05.%09dZ"}`+"\n", i, i)
}
func records(from, to int) (text string) {
	for i := from; i < to; i++ {
		text += record(i)
	}
	return text
}

func TestPositions(t *testing.T) {
	size := len(record(0))
	for name, test := range map[string]struct {
		make func(w world) (rows []string)
		from string
		last int   // the record behind which it goes on
		end  int64 // in its file; 0: in none
		note string
	}{
		"in the current file": {func(w world) []string {
			return []string{w.insert(name('a'), 3*size, w.put(name('a'), records(0, 9)), 7)}
		}, "anchor", 2, int64(3 * size), ""},
		"read to its end": {func(w world) []string {
			return []string{w.insert(name('a'), 9*size, w.put(name('a'), records(0, 9)), 7)}
		}, "anchor", 8, int64(9 * size), ""},
		"nothing was read": {func(w world) []string {
			return []string{w.insert(name('a'), 0, w.put(name('a'), records(0, 9)), 7)}
		}, "beginning", 0, 0, ""},
		"in the middle of a record": {func(w world) []string {
			return []string{w.insert(name('a'), 3*size+5, w.put(name('a'), records(0, 9)), 7)}
		}, "anchor", 2, int64(3 * size), "middle of a record"},
		"half a record at the end": {func(w world) []string {
			return []string{w.insert(name('a'), 3*size, w.put(name('a'), records(0, 3)+`{"log":"hal`), 7)}
		}, "anchor", 2, int64(3 * size), ""},
		"behind a damaged line": {func(w world) []string {
			return []string{w.insert(name('a'), 3*size+8, w.put(name('a'), records(0, 3)+"garbage\n"+records(3, 5)), 7)}
		}, "anchor", 2, int64(3 * size), ""},
		"rotated since": {func(w world) []string {
			w.put(name('a'), records(9, 12))
			return []string{w.insert(name('a'), 3*size, w.put(name('a')+".1", records(0, 9)), 7)}
		}, "anchor", 2, int64(3 * size), ""},
		"rotated, both begun": {func(w world) []string {
			return []string{w.insert(name('a')+".1", 9*size, w.put(name('a')+".1", records(0, 9)), 7), w.insert(name('a'), size, w.put(name('a'), records(9, 12)), 8)}
		}, "anchor", 9, int64(size), ""},
		"rotated, the one before not to its end": {func(w world) []string {
			return []string{w.insert(name('a')+".1", 3*size, w.put(name('a')+".1", records(0, 9)), 7), w.insert(name('a'), size, w.put(name('a'), records(9, 12)), 8)}
		}, "anchor", 2, int64(3 * size), "they come again"},
		"rotated, nothing of the new one was read": {func(w world) []string {
			return []string{w.insert(name('a')+".1", 9*size, w.put(name('a')+".1", records(0, 9)), 7), w.insert(name('a'), 0, w.put(name('a'), records(9, 12)), 8)}
		}, "anchor", 8, int64(9 * size), ""},
		"nothing was read, and what came before is compressed": {func(w world) []string {
			var z bytes.Buffer
			gz := gzip.NewWriter(&z)
			if _, err := gz.Write([]byte(records(0, 9))); err != nil {
				w.Fatal(err)
			}
			if err := gz.Close(); err != nil {
				w.Fatal(err)
			}
			w.put(name('a')+".1.gz", z.String())
			return []string{w.insert(name('a'), 0, w.put(name('a'), records(9, 12)), 8)}
		}, "anchor", 8, 0, ""},
		"truncated": {func(w world) []string {
			return []string{w.insert(name('a'), 30*size, w.put(name('a'), records(0, 9)), 7)}
		}, "beginning", 0, 0, "it was truncated"},
		"the file is gone": {func(w world) []string {
			return []string{w.insert(name('a'), 3*size, w.put(name('a'), records(0, 9))+1000, 7)}
		}, "beginning", 0, 0, "none of them is the one"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(id('a')+"/config.v2.json", `{"Name":"/web"}`)
			w.sql(append([]string{tableSQL}, test.make(w)...)...)
			var said bytes.Buffer
			if err := migrate(&said, w.path("tail.db"), w.path("db.json"), ""); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(said.String(), "note:") != (test.note != "") || !strings.Contains(said.String(), test.note) {
				t.Errorf("it says %s", &said)
			}
			text, err := os.ReadFile(w.path("db.json"))
			if err != nil {
				t.Fatal(err)
			}
			var cp checkpoint.Content
			if err := json.Unmarshal(text, &cp); err != nil {
				t.Fatal(err)
			}
			if cp.Version != 1 || cp.FirstStart.Unix() < 7 || cp.FirstStart.Unix() > 8 || len(cp.Containers) != 1 {
				t.Errorf("%+v", cp)
			}
			got := cp.Containers[id('a')]
			if got.Name != "web" || got.Position.From != test.from || got.Position.File.End != test.end {
				t.Errorf("%+v", got)
			}
			if test.from == "anchor" {
				var c decode.JSONCutter
				if !c.Parse([]byte(strings.TrimSpace(record(test.last)))) {
					t.Fatal(test.last)
				}
				want := position.MarkOf(&c.Entry)
				if marks := got.Position.Marks; marks[len(marks)-1] != want || len(marks) != min(test.last+1, checkpoint.SavedMarks) && test.last != 9 {
					t.Errorf("the marks are %+v, want %+v at the end", marks, want)
				}
			}
		})
	}
}

// TestDirectory: the logs may be elsewhere here than where tail saw them; what is gone or no container's is said.
func TestDirectory(t *testing.T) {
	w := newWorld(t)
	inode := w.put("here/"+name('a'), records(0, 9))
	w.sql(tableSQL, strings.ReplaceAll(w.insert(name('a'), len(record(0)), inode, 7), w.dir, "/var/lib/docker/containers"),
		w.insert("here/"+name('b'), 1, 1, 9), w.insert("syslog", 1, 2, 99))
	var said bytes.Buffer
	if err := migrate(&said, w.path("tail.db"), w.path("db.json"), w.path("here")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bbbbbbbbbbbb: its log", "syslog: not a container's log", "1 containers; 1 are gone, 1 files are not"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it says nothing of %q: %s", want, &said)
		}
	}
	if text, err := os.ReadFile(w.path("db.json")); err != nil || !strings.Contains(string(text), `"first_start": "1970-01-01T00:00:09Z"`) || strings.Contains(string(text), id('b')) {
		t.Errorf("%v %s", err, text)
	}
}

// TestRefused: each error names the file and what to do, and nothing is written.
func TestRefused(t *testing.T) {
	for want, prepare := range map[string]func(w world){
		"is not there: -tail is the file":                  func(world) {},
		"is no sqlite database":                            func(w world) { w.put("tail.db", strings.Repeat("[INPUT]\n    Name tail\n", 100)) },
		"is a database, but not one of tail":               func(w world) { w.sql("CREATE TABLE other (x)") },
		"holds no file":                                    func(w world) { w.sql(tableSQL) },
		"none of them the log of a container that is here": func(w world) { w.sql(tableSQL, w.insert(name('a'), 1, 1, 1)) },
		"is no file": func(w world) {
			if err := os.Mkdir(w.path("tail.db"), 0o700); err != nil {
				w.Fatal(err)
			}
		},
		"db.json is there already": func(w world) { w.put("db.json", "{}") },
	} {
		w := newWorld(t)
		prepare(w)
		err := migrate(&bytes.Buffer{}, w.path("tail.db"), w.path("db.json"), "")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), w.dir) {
			t.Errorf("%v, want %q and the file", err, want)
		}
		if text, err := os.ReadFile(w.path("db.json")); err == nil && string(text) != "{}" {
			t.Errorf("%s: written was %s", want, text)
		}
	}
	w := newWorld(t)
	w.sql(tableSQL, w.insert(name('a'), 0, w.put(name('a'), records(0, 9)), 7))
	if err := migrate(&bytes.Buffer{}, w.path("tail.db"), w.path("no/db.json"), ""); err == nil || !strings.Contains(err.Error(), "no/db.json") {
		t.Error(err)
	}
}

// TestInUse: a database that a process has open is left alone, and one that was left open by a kill is said.
func TestInUse(t *testing.T) {
	w := newWorld(t)
	w.sql(tableSQL, w.insert(name('a'), 0, w.put(name('a'), records(0, 9)), 7))
	if out, err := exec.CommandContext(t.Context(), "sqlite3", w.path("tail.db"), "PRAGMA journal_mode=wal").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(w.path("tail.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var said bytes.Buffer
	if err := migrate(&said, w.path("tail.db"), w.path("db.json"), ""); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d: end Fluent Bit", os.Getpid())) {
		t.Error(err)
	}
	_ = f.Close()
	if err := migrate(&said, w.path("tail.db"), w.path("db.json"), ""); err != nil || strings.Contains(said.String(), "Fluent Bit was killed") {
		t.Errorf("%v, %s", err, &said)
	}
	if left, err := filepath.Glob(w.path("tail.db-*")); err != nil || len(left) > 0 {
		t.Errorf("beside the database are %v", left)
	}
	w.put("tail.db-wal", "")
	if err := migrate(&said, w.path("tail.db"), w.path("again.json"), ""); err != nil || !strings.Contains(said.String(), "Fluent Bit was killed") {
		t.Errorf("%v, %s", err, &said)
	}
}
