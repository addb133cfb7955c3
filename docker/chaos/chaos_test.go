package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/docker/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChaos runs plans for some seconds (CHAOS_DURATION) on an Engine of its own: always the same ones, new ones are what make
// chaos is for.
func TestChaos(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("an Engine of its own, and a disk that fills, need root")
	}
	c := Config{Seed: 7, Duration: 15 * time.Second, Engines: []string{"20.10"}, Out: t.TempDir()}
	if d := os.Getenv("CHAOS_DURATION"); d != "" {
		var err error
		if c.Duration, err = time.ParseDuration(d); err != nil {
			t.Fatal(err)
		}
	}
	root, err := enginetest.Root()
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("make", "--silent", "--no-print-directory", "-C", root, "build")
	build.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	r, err := Run(t.Context(), c, t.Logf)
	if errors.Is(err, enginetest.ErrNoEngine) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", r.Tables())
	for _, x := range r.Results {
		if len(x.Finds) > 0 {
			said, _ := os.ReadFile(filepath.Join(x.Dir, "agent.log"))
			t.Errorf("%s\n%s\n%s\nFluent Bit said:\n%s", x, x.Plan.Words(), strings.Join(x.log, "\n"), said)
		}
	}
}

// TestDraw: a seed is a plan, which its file is, too.
func TestDraw(t *testing.T) {
	steps, readers, drivers := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for seed := range uint64(200) {
		p := Draw(seed, "")
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again Plan
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(p, &again) || !reflect.DeepEqual(p, Draw(seed, "")) {
			t.Fatalf("seed %d is two plans (%v):\n%s\n%s", seed, err, p.Words(), again.Words())
		}
		readers[p.Reader] = true
		for _, s := range p.Steps {
			steps[s.Do] = true
		}
		for _, c := range p.Containers {
			drivers[c.Driver] = true
		}
		if n := strings.Count(p.Words(), "\n"); n != 1+len(p.Containers)+len(p.Steps) {
			t.Errorf("seed %d in words: %d lines", seed, n)
		}
	}
	if len(steps) != len(weights) || len(readers) != 4 || len(drivers) != 3 {
		t.Errorf("%d of %d kinds of steps, %d of 4 readers and %d of 3 log drivers are drawn", len(steps), len(weights), len(readers), len(drivers))
	}
}

// TestCompare: the oracle sees each thing that may be wrong with lines, and nothing where nothing is.
func TestCompare(t *testing.T) {
	at := func(i int) time.Time { return time.Unix(1_700_000_000, int64(i)) }
	var want []line
	for i := range 10 {
		want = append(want, line{std: "stdout", at: at(i), text: "the same line again"}) // identical: the time tells them apart
	}
	chunks := func(of ...[]int) (all [][]record) {
		for _, c := range of {
			var rs []record
			for _, i := range c {
				rs = append(rs, record{line: want[i]})
			}
			all = append(all, rs)
		}
		return all
	}
	whole := chunks([]int{0, 1, 2, 3, 4}, []int{5, 6, 7, 8, 9})
	for name, c := range map[string]struct {
		chunks [][]record
		want   string // missing, doubled, disorder, mistimed, foreign
	}{
		"nothing":             {whole, "0 0 0 0 0"},
		"chunks in any order": {chunks([]int{5, 6, 7, 8, 9}, []int{0, 1, 2, 3, 4}), "0 0 0 0 0"},
		"missing":             {chunks([]int{0, 1, 2}, []int{5, 6, 7, 8, 9}), "2 0 0 0 0"},
		"doubled":             {append(chunks([]int{3, 4}), whole...), "0 2 0 0 0"},
		"order in a chunk":    {chunks([]int{0, 2, 1, 3, 4}, []int{5, 6, 7, 8, 9}), "0 0 1 0 0"},
		"order of chunks":     {chunks([]int{0, 1, 5}, []int{2, 3, 4, 6, 7, 8, 9}), "0 0 1 0 0"},
		"time":                {append(chunks([]int{1, 2, 3, 4, 5, 6, 7, 8, 9}), []record{{line: line{at: at(77), text: want[0].text}}}), "0 0 0 1 0"},
		"foreign":             {append(whole[:2:2], []record{{line: line{at: at(3), text: "never"}}}), "0 0 0 0 1"},
	} {
		q := &sequence{life: &life{witness: &witness{}}, want: want, chunks: c.chunks}
		q.compare()
		if got := fmt.Sprint(len(q.missing), q.doubled, q.disorder, q.mistimed, q.foreign); got != c.want {
			t.Errorf("%s: %s, want %s: %v", name, got, c.want, q.examples)
		}
	}
}

// TestWitness: rotated, compressed, truncated and removed files are remembered.
func TestWitness(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "id")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := watch(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	n := 0
	write := func(k int) {
		t.Helper()
		f, err := os.OpenFile(w.current(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for range k {
			n++
			fmt.Fprintf(f, `{"log":"%d \u003c\n","stream":"stdout","time":"2026-01-02T03:04:05.%09dZ"}`+"\n", n, n)
		}
		_ = f.Close()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			w.mu.Lock()
			seen := len(w.files) > 0 && sameFile(w.current(), w.files[len(w.files)-1])
			w.mu.Unlock()
			if seen {
				return
			}
		}
		t.Fatal("a file is not seen")
	}
	write(3)
	for range 3 {
		if err := os.Rename(w.current(), w.current()+".1"); err != nil {
			t.Fatal(err)
		}
		write(2)
	}
	if err := w.truncate(); err != nil {
		t.Fatal(err)
	}
	write(1)
	lines, err := w.lines()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != n {
		t.Fatalf("%d lines, want %d: %v", len(lines), n, lines)
	}
	for i, l := range lines {
		if l.text != fmt.Sprintf("%d <", i+1) || l.at.Nanosecond() != i+1 || l.std != "stdout" || l.kept != (i >= 5) {
			t.Errorf("line %d is %+v", i, l)
		}
	}
}

// TestParseLocal: pieces of a long line, of Engine 20.10 and of later ones.
func TestParseLocal(t *testing.T) {
	entry := func(text string, more ...byte) []byte {
		b := append([]byte{1<<3 | 2, 6}, "stdout"...)
		b = append(b, 2<<3, 7, 3<<3|2, byte(len(text)))
		b = append(append(b, text...), more...)
		b = append([]byte{0, 0, 0, byte(len(b))}, b...)
		return append(b, b[:4]...)
	}
	log := append(entry("a", 4<<3, 1, 5<<3|2, 2, 3<<3, 1), entry("b", 4<<3, 1, 5<<3|2, 4, 1<<3, 1, 3<<3, 2)...)
	log = append(append(log, entry("c")...), entry("cut short")[:9]...)
	var got []string
	parseLocal(log, func(std string, at time.Time, text string, ended bool) {
		got = append(got, fmt.Sprint(std, at.UnixNano(), text, ended))
	})
	if want := []string{"stdout7afalse", "stdout7btrue", "stdout7ctrue"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
