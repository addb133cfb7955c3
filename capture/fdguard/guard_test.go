package fdguard

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/testkit"
)

var must = testkit.Must

// world is a process with a guard: what it has open are files without a use.
type world struct {
	*Guard
	t                   *testing.T
	log                 bytes.Buffer
	idle                []*os.File // connections
	open, parked        []*os.File // logs: that are open, and that were given up
	leaked              int        // that the capture takes for its own
	stubborn            bool       // no log can be parked
	closed, up, recycle int        // what was done
}

func (w *world) Connections() int { return len(w.idle) }
func (w *world) CloseIdle() int {
	n := len(w.idle)
	w.idle = w.shut(w.idle, n)
	w.closed += n
	return n
}

func (w *world) Park(n int) int {
	if n = min(n, len(w.open)); w.stubborn {
		n = 0
	}
	w.parked = append(w.parked, w.open[:n]...)
	w.open = w.shut(w.open, n)
	return n
}
func (w *world) Parked() int  { return len(w.parked) }
func (w *world) Running() int { return len(w.open) + len(w.parked) }
func (w *world) Recycle() int { w.recycle++; return w.Running() }
func (w *world) Unpark(n int) int {
	n = min(n, len(w.parked))
	w.parked, w.open = w.parked[n:], append(w.open, w.files(n)...)
	w.up += n
	return n
}

// files opens n files.
func (w *world) files(n int) (all []*os.File) {
	w.t.Helper()
	for range n {
		f, err := os.Open(os.DevNull)
		must(w.t, err)
		w.t.Cleanup(func() { _ = f.Close() })
		all = append(all, f)
	}
	return all
}

// shut closes the first n, and returns the others.
func (w *world) shut(all []*os.File, n int) []*os.File {
	for _, f := range all[:n] {
		must(w.t, f.Close())
	}
	return all[n:]
}

// guarding makes a guard that warns and acts so many descriptors from here.
func guarding(t *testing.T, warn, limit int) *world {
	w := &world{t: t}
	have := testkit.FDs() + 1 // and the directory of them all
	w.Guard = New(Options{
		Warn: have + warn, Limit: have + limit, Every: time.Hour, Spare: 5, Streams: w, Client: w,
		Files:   func() int { return len(w.open) + w.leaked },
		Watches: func() int { return 0 },
		Actions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "actions"}, []string{"action"}),
	}, slog.New(slog.NewTextHandler(&w.log, nil)))
	t.Cleanup(w.Close)
	return w
}

// says expects how often the log has a text.
func (w *world) says(times int, text string) {
	w.t.Helper()
	if n := strings.Count(w.log.String(), text); n != times {
		w.t.Errorf("%q is said %d times, not %d:\n%s", text, n, times, &w.log)
	}
}

// calm lets the time pass after which there are descriptors enough.
func (w *world) calm() {
	for _, at := range []*time.Time{&w.calmSince, &w.fewSince} {
		if !at.IsZero() {
			*at = at.Add(-calmBeats * w.opts.Every)
		}
	}
	w.check()
}

// Above the limit it gives up the cheapest first, as many as there are too many, and
// takes them back when there is room.
func TestGivesUpTheCheapestFirst(t *testing.T) {
	w := guarding(t, 20, 60)
	w.idle, w.open = w.files(10), w.files(30)
	if w.check(); w.closed != 0 {
		t.Error("it acts below the limit")
	}
	w.says(1, "many file descriptors are open (FD_Warn)")
	others := w.files(30)
	for _, want := range []struct{ closed, parked int }{{10, 0}, {10, 0}} { // 70 open, then 60
		if acted := w.check(); w.closed != want.closed || len(w.parked) != want.parked {
			t.Errorf("acted %v: %d connections closed, %d logs parked", acted, w.closed, len(w.parked))
		}
	}
	others = append(others, w.files(8)...)
	if !w.check() || len(w.parked) != 8 || w.recycle != 0 {
		t.Errorf("%d of 8 logs parked, %d times recycled", len(w.parked), w.recycle)
	}
	w.says(1, "the quietest containers are polled from now on")
	if w.check() {
		t.Error("it acts again")
	}
	w.calm()
	if len(w.parked) != 8 {
		t.Error("logs are opened again without room for them")
	}
	w.shut(others, len(others))
	w.check()
	w.calm()
	if len(w.parked) != 0 || w.up != 8 {
		t.Errorf("%d logs are parked still", len(w.parked))
	}
	w.says(1, "are read as before")
	w.says(1, "containers=8 still_polled=0")
}

// What is not the capture's it leaves alone, and what it has itself, too, where
// giving that up would not help.
func TestLeavesOthersAlone(t *testing.T) {
	w := guarding(t, 1, 2)
	w.idle, w.open = w.files(5), w.files(5)
	w.files(20)
	for range 20 {
		if w.check() {
			t.Fatal("it acts")
		}
	}
	w.says(1, "they are not the capture's")
	w.says(2, "file descriptors are open")
	if w.closed+len(w.parked)+w.recycle != 0 {
		t.Error("it gives up something")
	}
}

// While an output is away Fluent Bit has a timer for each chunk that waits: the
// capture goes on as it does.
func TestIsNotForTimers(t *testing.T) {
	w := guarding(t, 60, 70)
	w.open = w.files(50)
	for range 100 {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
		must(t, err)
		t.Cleanup(func() { _ = unix.Close(fd) })
	}
	for range 10 {
		if w.check() {
			t.Fatalf("it acts:\n%s", &w.log)
		}
	}
	w.says(1, "FD_Warn")
}

// A number that goes up and down around FD_Warn is said once, and that it is over
// when it has been for a while.
func TestSaysOnceWhatComesAndGoes(t *testing.T) {
	w := guarding(t, 50, 1000)
	for range 5 {
		all := w.files(100)
		w.check()
		w.shut(all, len(all))
		w.check()
	}
	w.says(1, "file descriptors")
	w.calm()
	w.says(1, "the number of open file descriptors is normal again")
}

// A stream needs a descriptor or two. Where there are more of the capture's, all
// logs are opened anew, and not again and again.
func TestRecyclesOnce(t *testing.T) {
	w := guarding(t, 20, 30)
	w.stubborn = true
	w.open = w.files(1)
	w.files(60)
	w.leaked = 60
	for range 20 {
		w.check()
	}
	if w.recycle != 1 {
		t.Errorf("recycled %d times", w.recycle)
	}
	w.says(1, "all logs are opened anew")
}

// With no descriptor free it counts all the same, also where it had none in reserve.
func TestSeesExhaustion(t *testing.T) {
	w := guarding(t, 500, 800)
	w.check()
	most := testkit.FDs() + 40
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(most), Max: max(uint64(most), old.Max)}); errors.Is(err, unix.EPERM) {
		t.Skipf("this process may have %d descriptors and no more", old.Max)
	} else {
		must(t, err)
	}
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) })
	var all []*os.File
	t.Cleanup(func() { w.shut(all, len(all)) })
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		all = append(all, f)
	}
	for range 10 {
		w.check()
	}
	if n := w.Count(); n.Process < most-1 || n.Limit != most*8/10 || n.Err != nil {
		t.Errorf("with %d descriptors, all open: %+v", most, n)
	}
	w.says(0, "is normal again")
	var blind counter // that had none in reserve
	if n, err := blind.count(); err != nil || n != most {
		t.Errorf("%d of %d: %v", n, most, err)
	}
}

// What the kernel says of the directory is what it lists, and where it says something
// else it is not believed.
func TestCountWithoutAList(t *testing.T) {
	var c counter
	defer c.close()
	before, err := c.count()
	must(t, err)
	if !c.sized {
		t.Skip("this kernel does not tell how many descriptors are open (Linux 6.2)")
	}
	for range 100 {
		f, err := os.Open(os.DevNull)
		must(t, err)
		defer f.Close()
	}
	n, err := c.count()
	must(t, err)
	listed := 0
	must(t, c.each(func(string) { listed++ }))
	if !c.sized || n != before+100 || n != listed {
		t.Errorf("%d are open, %d are listed, %d were", n, listed, before)
	}
	other, err := os.Open(t.TempDir()) // whose size is that of the directory
	must(t, err)
	defer other.Close()
	if lying := (&counter{dir: other}); lying.size() > 0 {
		if n, err := lying.count(); err != nil || n != 0 || lying.sized {
			t.Errorf("%d, %v: a directory with nothing in it is believed to have as many as its size", n, err)
		}
	}
}

// The limits follow what the process may have.
func TestLimits(t *testing.T) {
	for _, test := range []struct{ most, fdWarn, fdLimit, warn, limit int }{
		{1024, 0, 0, 500, 800},
		{65536, 0, 0, 32000, 51200},
		{1024, 0, 600, 375, 600},
		{1024, 700, 0, 700, 800},
		{512, 500, 800, 409, 409},
		{65536, 500, 800, 500, 800},
	} {
		if warn, limit := limits(test.fdWarn, test.fdLimit, test.most); warn != test.warn || limit != test.limit {
			t.Errorf("%+v: %d, %d", test, warn, limit)
		}
	}
}
