package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHost is a Fluent Bit with a ring that drains on command.
type fakeHost struct {
	printed
	refuse  bool
	watched int // fd, -1 when not
	tags    []string
	ring    []int // records of each append
	old     bool  // before 4.0.3
	count   counters
	got     []byte

	published []capture.Totals
}

func (h *fakeHost) Append(b *capture.Batch) bool {
	if h.refuse {
		return false
	}
	h.tags = append(h.tags, b.Tag)
	h.ring = append(h.ring, len(b.Buf))
	h.count.writes++
	h.got = append(h.got, b.Buf...)
	return true
}

func (h *fakeHost) drain() {
	for _, n := range h.ring {
		h.count.records += uint64(n)
		h.count.bytes += uint64(n)
	}
	h.ring = nil
}

func (h *fakeHost) Counters() counters           { return h.count }
func (h *fakeHost) EngineWaits() bool            { return len(h.ring) == 0 }
func (h *fakeHost) StopsWithTasks() bool         { return h.old }
func (h *fakeHost) Print(level int, line string) { h.print(level, line) }
func (h *fakeHost) Watch(fd int) bool            { h.watched = fd; return true }
func (h *fakeHost) Unwatch()                     { h.watched = -1 }
func (h *fakeHost) KeepSignals()                 {}

func (h *fakeHost) Publish(totals func() capture.Totals) { h.published = append(h.published, totals()) }

// fakeSource has one record per byte: its sequence number.
type fakeSource struct {
	batches  []*capture.Batch
	appended uint64
	acked    uint64
	closed   bool
	left     bool // abandoned
	run      func(context.Context) error
	cameBy   int
}

func (s *fakeSource) put(tag string, records ...byte) {
	s.batches = append(s.batches, &capture.Batch{Tag: tag, Buf: records, Records: len(records)})
}

func (s *fakeSource) Run(ctx context.Context) error {
	if s.run != nil {
		return s.run(ctx)
	}
	<-ctx.Done()
	return nil
}

func (s *fakeSource) Next() *capture.Batch {
	if len(s.batches) == 0 {
		return nil
	}
	return s.batches[0]
}

func (s *fakeSource) Appended() {
	s.appended += uint64(s.batches[0].Records)
	*s.batches[0] = capture.Batch{}
	s.batches = s.batches[1:]
}

func (s *fakeSource) CameBy()          { s.cameBy++ }
func (s *fakeSource) Ack(total uint64) { s.acked = total }
func (s *fakeSource) Refused() uint64  { return 0 }
func (s *fakeSource) Totals() capture.Totals {
	return capture.Totals{Lines: float64(s.appended)}
}
func (s *fakeSource) Close() error { s.closed = true; return nil }
func (s *fakeSource) Abandon()     { s.left = true }

func newTestInstance(t *testing.T) (*instance, *fakeHost, *fakeSource) {
	t.Helper()
	h, s := &fakeHost{watched: -1, count: counters{records: 77, known: true, hasWrites: true}}, &fakeSource{}
	in := newInstance(h, "docker_logs.0", levelInfo)
	in.capture(s)
	if err := in.watch(); err != nil {
		t.Fatal(err)
	}
	return in, h, s
}

// newProvenInstance has got record 0 through, which goes alone.
func newProvenInstance(t *testing.T) (*instance, *fakeHost, *fakeSource) {
	t.Helper()
	in, h, s := newTestInstance(t)
	s.put("", 0)
	s.put("", 9)
	if in.collect(); s.appended != 1 {
		t.Fatalf("%d records appended before the counter was seen to move", s.appended)
	}
	s.batches = nil
	h.drain()
	time.Sleep(ackEvery)
	if in.collect(); s.acked != 1 {
		t.Fatal("the first record was not acknowledged")
	}
	return in, h, s
}

func TestHandsOverAndCommitsWhatIsInChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newProvenInstance(t)
		s.put("", 1)
		s.put("web", 2)
		in.collect()
		if want := []string{"", "", "web"}; !slices.Equal(h.tags, want) {
			t.Errorf("tags %q, want %q", h.tags, want)
		}
		h.drain()
		s.put("", 3, 4)
		time.Sleep(ackEvery)
		in.collect()
		if s.acked != 3 {
			t.Errorf("acked %d, want the 3 that were drained", s.acked)
		}
		in.pause()
		in.close()
		if s.acked != 3 || !s.closed || h.watched != -1 || in.bell.isOpen() {
			t.Errorf("after close: acked %d, closed %v, watched %d", s.acked, s.closed, h.watched)
		}
		if !slices.Equal(h.got, []byte{0, 1, 2, 3, 4}) {
			t.Errorf("records %v", h.got)
		}
	})
}

func TestNothingIsAppendedWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newTestInstance(t)
		defer in.close()
		in.pause()
		in.pause()
		s.put("", 0)
		if in.collect(); len(h.got) != 0 || s.cameBy != 1 {
			t.Errorf("%v appended while paused, %d times come by", h.got, s.cameBy)
		}
		in.resume()
		if in.collect(); !slices.Equal(h.got, []byte{0}) {
			t.Errorf("got %v after the resume", h.got)
		}
	})
}

func TestRefusedBatchIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newTestInstance(t)
		defer in.close()
		h.refuse = true
		s.put("", 0)
		in.collect()
		h.refuse = false
		in.collect() // another wake, too early
		if len(h.got) != 0 || s.appended != 0 {
			t.Fatal("retried at once")
		}
		time.Sleep(retryAfter)
		in.collect()
		if !slices.Equal(h.got, []byte{0}) {
			t.Errorf("got %v", h.got)
		}
	})
}

func TestCallbackIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newProvenInstance(t)
		in.acks.burst.size = maxInRing
		defer in.close()
		for range 40 {
			s.put("", make([]byte, 256<<10)...)
		}
		in.collect()
		if got := len(h.got) - 1; got != maxCallback {
			t.Errorf("%d bytes in one callback, want %d", got, maxCallback)
		}
		if !rings(in.bell) {
			t.Error("not asked for another turn")
		}
	})
}

// rings reports whether the bell was rung, and silences it.
func rings(d *doorbell) bool {
	var count [8]byte
	n, _ := unix.Read(d.fd, count[:])
	return n == 8
}

func TestExitDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newTestInstance(t)
		release := make(chan struct{})
		s.run = func(context.Context) error { <-release; return nil }
		in.collect()
		began := time.Now()
		in.close()
		if took := time.Since(began); took != exitTimeout {
			t.Errorf("took %v", took)
		}
		if s.closed || !s.left || !strings.Contains(strings.Join(h.printed, "\n"), "did not stop in time") {
			t.Errorf("closed %v, said %q", s.closed, h.printed)
		}
		close(release)
	})
}

// Before 4.0.3 a stop may throw away what is in memory only: what is in chunks
// by then is acknowledged where these are files, and not where they may not be.
func TestStopThatThrowsAway(t *testing.T) {
	for _, inFiles := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			in, h, s := newProvenInstance(t)
			h.old = true
			before := s.acked
			s.put("", 1, 2, 3)
			in.collect()
			in.pause()
			h.drain()
			time.Sleep(time.Second)
			in.collect()
			if s.acked != before {
				t.Errorf("%d acknowledged after the word of a stop", s.acked-before)
			}
			h.old = !inFiles // a file was seen
			in.close()
			if got := s.acked - before; got != map[bool]uint64{false: 0, true: 3}[inFiles] {
				t.Errorf("in files %v: %d acknowledged", inFiles, got)
			}
		})
	}
}

func TestPanicOfTheCaptureIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newTestInstance(t)
		s.run = func(context.Context) error { panic("boom") }
		in.collect()
		synctest.Wait()
		in.close()
		if said := strings.Join(h.printed, "\n"); !strings.Contains(said, "panic value=boom") || !s.closed {
			t.Errorf("closed %v, said %q", s.closed, said)
		}
	})
}

func TestRunThatEndsIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newTestInstance(t)
		s.run = func(context.Context) error { return errors.New("no engine") }
		in.collect()
		synctest.Wait()
		in.close()
		if said := strings.Join(h.printed, "\n"); !strings.Contains(said, `capture ended error="no engine"`) {
			t.Errorf("said %q", said)
		}
	})
}

func TestTableIsEmptyAtTheEnd(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	in, h, s := newTestInstance(t)
	instances.add(threadID(), in)
	if current() != in {
		t.Fatal("not found by its thread")
	}
	if got := guarded(-1, func() int { panic("boom") }); got != -1 {
		t.Errorf("a panic gives %d", got)
	}
	if said := strings.Join(h.printed, "\n"); !strings.Contains(said, "panic value=boom") {
		t.Errorf("said %q", said)
	}
	closeCurrent()
	closeCurrent()
	if len(instances.byThread) != 0 || !s.closed {
		t.Errorf("%d instances left, closed %v", len(instances.byThread), s.closed)
	}
	if current().collect() != 0 || current().pause() != 0 || current().resume() != 0 {
		t.Error("a call without an instance had an effect")
	}
}

// What Fluent Bit's endpoint shows is renewed on events, once a second at most.
func TestTotalsArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, h, s := newTestInstance(t)
		for range 30 { // 3 seconds
			s.put("", 0)
			in.collect()
			h.drain()
			time.Sleep(ackEvery)
		}
		if n := len(h.published); n < 3 || n > 4 {
			t.Errorf("published %d times in 3 s", n)
		}
		if last := h.published[len(h.published)-1]; last.Lines < 20 {
			t.Errorf("the last is %+v", last)
		}
		in.close()
		synctest.Wait()
	})
}

// However an instance ends, it is hidden from those who ask for metrics.
func TestCloseHides(t *testing.T) {
	in, _, _ := newTestInstance(t)
	hidden := 0
	in.hide = func() { hidden++ }
	in.close()
	if hidden != 1 {
		t.Errorf("hidden %d times", hidden)
	}
}
