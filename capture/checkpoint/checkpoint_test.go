package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/testkit"
)

func journalOf(t *testing.T) (*journal, *Content) {
	t.Helper()
	cp := &Content{Version: Version, Saved: time.Now().UTC(), FirstStart: time.Now(), Containers: map[string]Entry{"old": {Name: "old", Position: Position{From: "beginning"}}}}
	j := &journal{path: filepath.Join(t.TempDir(), "db.journal")}
	testkit.Must(t, j.begin(cp.Saved))
	t.Cleanup(func() { _ = j.close() })
	return j, cp
}

func at(ts int64) position.Position {
	p := position.Position{Kind: position.FromAnchor}
	p.Anchor.Push(position.Mark{TS: ts, Size: 1, Std: decode.Stdout, Count: 1})
	return p
}

// Whatever is cut off its end, a journal gives what was whole, and goes on
// behind that.
func TestJournalTorn(t *testing.T) {
	j, cp := journalOf(t)
	for i := range 5 {
		testkit.Must(t, j.add([]Commit{{"a", "web", at(int64(i + 1))}, {"b", "db", at(int64(10 * (i + 1)))}}))
	}
	whole, err := os.ReadFile(j.path)
	testkit.Must(t, err)
	last := int64(0)
	for cut := len(whole); cut >= 0; cut -= 7 {
		for _, junk := range []string{"", "\x00\x00\x00\n", `00000000 {"id":"a"}` + "\n"} {
			testkit.Must(t, os.WriteFile(j.path, append(whole[:cut:cut], junk...), 0o600))
			got := *cp
			got.Containers = map[string]Entry{}
			again := journal{path: j.path}
			good, err := again.replay(&got)
			testkit.Must(t, err)
			if good > cut {
				t.Fatalf("%d bytes are good of %d", good, cut)
			}
			var ts int64
			if p, err := savedPositionOf(got, "a"); err == nil {
				ts = p.Anchor.Newest().TS
			}
			if cut < len(whole) && ts > last {
				t.Fatalf("cut at %d: %d, more than with less cut off, %d", cut, ts, last)
			}
			last = ts
			if cut == len(whole) && ts != 5 {
				t.Fatalf("the whole journal gives %d", ts)
			}
			if good == 0 {
				continue
			}
			testkit.Must(t, again.resume(good))
			testkit.Must(t, again.add([]Commit{{"c", "new", at(7)}}))
			testkit.Must(t, again.close())
			if _, err := again.replay(&got); err != nil {
				t.Fatal(err)
			}
			if p, err := savedPositionOf(got, "c"); err != nil || p.Anchor.Newest().TS != 7 {
				t.Fatalf("cut at %d: what was added behind it is not found", cut)
			}
		}
	}
}

func savedPositionOf(cp Content, id string) (position.Position, error) {
	c, ok := cp.Containers[id]
	if !ok {
		return position.Position{}, os.ErrNotExist
	}
	return c.Position.Restore()
}

// A journal of another checkpoint says nothing.
func TestJournalOfAnother(t *testing.T) {
	j, cp := journalOf(t)
	testkit.Must(t, j.add([]Commit{{"old", "old", at(1)}}))
	cp.Saved = cp.Saved.Add(1)
	good, err := j.replay(cp)
	if err != nil || good != 0 || cp.Containers["old"].Position.From != "beginning" {
		t.Errorf("%d bytes, %v, %+v", good, err, cp.Containers)
	}
}

// The journal is bounded, and writes no line after one that may be torn.
func TestJournalBounded(t *testing.T) {
	j, _ := journalOf(t)
	entries := make([]Commit, 1000)
	for i := range entries {
		entries[i] = Commit{fmt.Sprintf("%064d", i), "name", at(int64(i + 1))}
	}
	for range 100 {
		testkit.Must(t, j.add(entries))
	}
	if !j.full() || j.size > maxJournal+(1<<20) {
		t.Errorf("%d bytes", j.size)
	}
	testkit.Must(t, j.begin(time.Now()))
	if j.full() {
		t.Error("still full")
	}
	_ = j.file.Close()
	if j.add(entries) == nil {
		t.Error("no error")
	}
	testkit.Must(t, j.add(entries))
}

// A Collector that was abandoned leaves DB to the next one, and does not write
// to it any more.
func TestAbandonedDB(t *testing.T) {
	db := filepath.Join(t.TempDir(), "db.json")
	first, _, err := Open(db, slog.New(slog.DiscardHandler))
	testkit.Must(t, err)
	cp := &Content{Version: Version, Saved: time.Now().UTC(), FirstStart: time.Now()}
	testkit.Must(t, first.Save(cp))
	if _, _, err := Open(db, slog.New(slog.DiscardHandler)); !errors.Is(err, errInUse) {
		t.Fatalf("%v, want %v", err, errInUse)
	}
	first.Abandon()
	second, _, err := Open(db, slog.New(slog.DiscardHandler))
	testkit.Must(t, err)
	defer func() { _ = second.Close() }()
	if first.Save(cp) == nil || first.Write([]Commit{{"a", "a", at(1)}}) == nil {
		t.Error("the first still writes")
	}
}

// What cannot be read is no reason to begin anew: the start is refused, and the
// file stays.
func TestUnreadableDB(t *testing.T) {
	dir := t.TempDir()
	testkit.Must(t, os.Chmod(filepath.Dir(dir), 0o755))
	testkit.Must(t, os.Chmod(dir, 0o777))
	db := filepath.Join(dir, "db.json")
	text := fmt.Appendf(nil, `{"version":1,"saved":%q,"first_start":%q,"containers":{}}`, time.Now().Format(time.RFC3339), time.Now().Format(time.RFC3339))
	testkit.Must(t, os.WriteFile(db, text, 0o600))
	testkit.Must(t, os.WriteFile(db+".lock", nil, 0o644))
	func() {
		defer dockertest.AsNobody(t)()
		f, _, err := Open(db, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "cannot be read") || f != nil {
			t.Errorf("it is opened: %v", err)
		}
		free := File{path: db}
		if err := free.acquire(); err != nil { // another user's is no obstacle, and was given up
			t.Errorf("the lock: %v", err)
		}
		testkit.Must(t, free.Close())
	}()
	if left, _ := filepath.Glob(dir + "/*"); len(left) != 2 {
		t.Errorf("there are %q", left)
	}
	if b, err := os.ReadFile(db); err != nil || string(b) != string(text) {
		t.Errorf("it holds %s, %v", b, err)
	}
}

// One entry that makes no sense spoils no other.
func TestOddEntryOfDB(t *testing.T) {
	db := filepath.Join(t.TempDir(), "db.json")
	good := strings.Repeat("ab", 32)
	testkit.Must(t, os.WriteFile(db, fmt.Appendf(nil, `{"version":1,"first_start":%q,"containers":{%q:{"name":"web","position":{"from":"time","time":5}},
		"odd":{"name":"x","position":{"from":"moon"}},"odder":7,"oddest":{"name":"y","position":{"from":"anchor"}}}}`, time.Now().Format(time.RFC3339), good), 0o600))
	var log bytes.Buffer
	f, cp, err := Open(db, slog.New(slog.NewTextHandler(&log, nil)))
	testkit.Must(t, err)
	defer f.Close()
	if cp == nil || len(cp.Containers) != 1 || cp.Containers[good].Position.Time != 5 {
		t.Errorf("%+v", cp)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 3 {
		t.Errorf("%d are said:\n%s", n, log.String())
	}
	if left, _ := filepath.Glob(db + ".damaged*"); len(left) != 0 {
		t.Errorf("set aside: %q", left)
	}
}
