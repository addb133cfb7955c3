package capture

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
)

func journalOf(t *testing.T) (*journal, *checkpoint) {
	t.Helper()
	cp := &checkpoint{Version: checkpointVersion, Saved: time.Now().UTC(), FirstStart: time.Now(), Containers: map[string]savedContainer{"old": {Name: "old", Position: savedPosition{From: "beginning"}}}}
	j := &journal{path: filepath.Join(t.TempDir(), "db.journal")}
	must(t, j.begin(cp.Saved))
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
		must(t, j.add([]journalEntry{{"a", "web", at(int64(i + 1))}, {"b", "db", at(int64(10 * (i + 1)))}}))
	}
	whole, err := os.ReadFile(j.path)
	must(t, err)
	last := int64(0)
	for cut := len(whole); cut >= 0; cut -= 7 {
		for _, junk := range []string{"", "\x00\x00\x00\n", `00000000 {"id":"a"}` + "\n"} {
			must(t, os.WriteFile(j.path, append(whole[:cut:cut], junk...), 0o600))
			got := *cp
			got.Containers = map[string]savedContainer{}
			again := journal{path: j.path}
			good, err := again.replay(&got)
			must(t, err)
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
			must(t, again.resume(good))
			must(t, again.add([]journalEntry{{"c", "new", at(7)}}))
			must(t, again.close())
			if _, err := again.replay(&got); err != nil {
				t.Fatal(err)
			}
			if p, err := savedPositionOf(got, "c"); err != nil || p.Anchor.Newest().TS != 7 {
				t.Fatalf("cut at %d: what was added behind it is not found", cut)
			}
		}
	}
}

func savedPositionOf(cp checkpoint, id string) (position.Position, error) {
	c, ok := cp.Containers[id]
	if !ok {
		return position.Position{}, os.ErrNotExist
	}
	return c.Position.position()
}

// A journal of another checkpoint says nothing.
func TestJournalOfAnother(t *testing.T) {
	j, cp := journalOf(t)
	must(t, j.add([]journalEntry{{"old", "old", at(1)}}))
	cp.Saved = cp.Saved.Add(1)
	good, err := j.replay(cp)
	if err != nil || good != 0 || cp.Containers["old"].Position.From != "beginning" {
		t.Errorf("%d bytes, %v, %+v", good, err, cp.Containers)
	}
}

// The journal is bounded, and writes no line after one that may be torn.
func TestJournalBounded(t *testing.T) {
	j, _ := journalOf(t)
	entries := make([]journalEntry, 1000)
	for i := range entries {
		entries[i] = journalEntry{fmt.Sprintf("%064d", i), "name", at(int64(i + 1))}
	}
	for range 100 {
		must(t, j.add(entries))
	}
	if !j.full() || j.size > maxJournal+(1<<20) {
		t.Errorf("%d bytes", j.size)
	}
	must(t, j.begin(time.Now()))
	if j.full() {
		t.Error("still full")
	}
	_ = j.file.Close()
	if j.add(entries) == nil {
		t.Error("no error")
	}
	must(t, j.add(entries))
}

// A killed agent goes on from what it had acknowledged last, however long ago
// the file of DB was saved.
func TestKilledWithJournal(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	db := filepath.Join(t.TempDir(), "positions.json")
	options := map[string]string{"DB": db, "DB_Sync": "1m", "Start_From": "beginning"}
	a := startAgent(t, e.Host(), options)
	a.connected()
	for i := range 100 {
		c.Stdout(fmt.Sprint("line ", i))
	}
	a.waitTexts(c.ID, "", 100)
	a.waitFor("all is in the journal", func() bool {
		cp := readKilled(t, db)
		if cp == nil {
			return false
		}
		p, err := savedPositionOf(*cp, c.ID)
		here := a.col.captured(c.ID).position()
		return err == nil && p.Anchor.N > 0 && here.Anchor.Newest() == p.Anchor.Newest()
	})
}

// readKilled reads what an agent would find that was killed now.
func readKilled(t *testing.T, db string) *checkpoint {
	t.Helper()
	f := &checkpointFile{path: db, journal: journal{path: db + ".journal"}}
	cp, err := f.read()
	must(t, err)
	if cp != nil {
		if _, err := f.journal.replay(cp); err != nil {
			t.Fatal(err)
		}
	}
	return cp
}

// A Collector that was abandoned leaves DB to the next one, and does not write
// to it any more.
func TestAbandonedDB(t *testing.T) {
	db := filepath.Join(t.TempDir(), "db.json")
	first, _, err := openCheckpoint(db, slog.New(slog.DiscardHandler))
	must(t, err)
	cp := &checkpoint{Version: checkpointVersion, Saved: time.Now().UTC(), FirstStart: time.Now()}
	must(t, first.save(cp))
	if _, _, err := openCheckpoint(db, slog.New(slog.DiscardHandler)); !errors.Is(err, errInUse) {
		t.Fatalf("%v, want %v", err, errInUse)
	}
	first.abandon()
	second, _, err := openCheckpoint(db, slog.New(slog.DiscardHandler))
	must(t, err)
	defer func() { _ = second.close() }()
	if first.save(cp) == nil || first.write([]journalEntry{{"a", "a", at(1)}}) == nil {
		t.Error("the first still writes")
	}
}
