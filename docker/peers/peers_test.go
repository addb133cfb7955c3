package peers

import (
	"errors"
	"os"
	"testing"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPeers: ours and tail read a log and follow a rotated one, on an Engine that is gone afterwards, and ours has each line
// once.
func TestPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("an Engine of its own takes seconds")
	}
	if _, ok := debian.FluentBit(); !ok {
		t.Skip("there is no fluent-bit here")
	}
	if os.Getuid() != 0 {
		t.Skip("an Engine of its own, and its log files, need root")
	}
	if _, err := plugin(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := Run(t.Context(), Config{Peers: []string{"tail"}, Works: []string{"read", "rotation"}, Rounds: 1, Scale: 0.02, Dir: dir}, t.Logf)
	if errors.Is(err, enginetest.ErrNoEngine) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", r.Table())
	if len(r.results) != 2 {
		t.Fatalf("%d works", len(r.results))
	}
	for _, result := range r.results {
		if len(result.rows) != 2 {
			t.Fatalf("%s: %d agents", result.work.name, len(result.rows))
		}
		for _, row := range result.rows {
			if len(row.runs) != 1 || row.runs[0] == nil || row.trouble != "" {
				t.Fatalf("%s did not get through %s: %s", row.peer.Name, result.work.name, row.trouble)
			}
			if row.peer.Ours && row.lost+row.doubled > 0 {
				t.Errorf("%s: %d lost, %d doubled", result.work.name, row.lost, row.doubled)
			}
			if f := row.runs[0]; f.CPU <= 0 || f.Wall <= 0 || f.Peak < 1<<20 {
				t.Errorf("%s, %s: %s", result.work.name, row.peer.Name, f)
			}
		}
		if q := result.ratio(result.rows[1], ownCPU); !(q > 0) {
			t.Errorf("%s: ratio %g", result.work.name, q)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
