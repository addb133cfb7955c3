package checkpoint

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/position"
)

// storing makes a store that has seen an Engine's clock, which is an hour ahead.
func storing(start Start, log *bytes.Buffer) *Store {
	s := NewStore(StoreOptions{Start: start, Began: time.Now(), Grace: 10 * time.Minute}, slog.New(slog.NewTextHandler(log, nil)))
	s.NoteClock(time.Hour)
	return s
}

// Where a capture begins hangs on when the container came, and on why it was left out
// until then.
func TestWhereACaptureBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		now := time.Now().Add(time.Hour).UnixNano() // the beginning, by the Engine's clock
		const day = int64(24 * time.Hour)
		old := container.Container{ID: "web", Name: "web", Created: now - day, LastRun: container.LastRun{StartedAt: now - day}}
		ran := old
		ran.LastRun = container.LastRun{StartedAt: now - day/2, FinishedAt: now - day/4}
		fresh := old
		fresh.Created, fresh.StartedAt = now+1, now+2
		restarted := old
		restarted.StartedAt = now + 5
		saved := position.Position{Kind: position.FromTime, TS: 7}
		for _, c := range []struct {
			what  string
			start Start
			known func(*Store)
			c     container.Container
			want  position.Position
		}{
			{"ran already", Start{}, nil, old, position.Position{Kind: position.FromTime, TS: now}},
			{"ran already, since", Start{Kind: StartSince, Since: time.Minute}, nil, old, position.Position{Kind: position.FromTime, TS: now - int64(time.Minute)}},
			{"ran already, tail", Start{Kind: StartTail, Tail: 5}, nil, old, position.Position{Kind: position.FromTail, Tail: 5}},
			{"ran already, beginning", Start{Kind: StartBeginning}, nil, old, position.Position{Kind: position.FromBeginning}},
			{"started since", Start{}, nil, restarted, position.Position{Kind: position.FromTime, TS: now}},
			{"created since", Start{}, nil, fresh, position.Position{Kind: position.FromBeginning}},
			{"came after the first list", Start{}, func(s *Store) { s.AllListed(nil) }, old, position.Position{Kind: position.FromBeginning}},
			{"was on the first list", Start{}, func(s *Store) { s.Existed(&old); s.AllListed(nil) }, old, position.Position{Kind: position.FromTime, TS: now}},
			{"unwanted until then", Start{Kind: StartBeginning}, func(s *Store) { s.LeaveOut("web", Other{Unwanted: 42}) }, old, position.Position{Kind: position.FromTime, TS: 42}},
			{"stopped, and ran since", Start{}, func(s *Store) { s.LeaveOut("web", Other{Stopped: true, Last: ran.LastRun}) }, restarted, position.Position{Kind: position.FromTime, TS: ran.FinishedAt + 1}},
			{"stopped before its first run", Start{}, func(s *Store) { s.LeaveOut("web", Other{Stopped: true}) }, restarted, position.Position{Kind: position.FromBeginning}},
			{"saved", Start{}, func(s *Store) { s.End("web", "web", &saved) }, old, saved},
			{"reserved before it could be begun", Start{}, func(s *Store) { s.Reserve(&fresh); s.AllListed(nil) }, old, position.Position{Kind: position.FromBeginning}},
		} {
			s := storing(c.start, &log)
			if c.known != nil {
				c.known(s)
			}
			if p := s.Begin(&c.c); p.Kind != c.want.Kind || p.TS != c.want.TS || p.Tail != c.want.Tail {
				t.Errorf("%s: %+v, want %+v", c.what, p, c.want)
			}
			if positions, others := s.Len(); positions+others != 0 {
				t.Errorf("%s: %d positions and %d others are remembered of what has a stream", c.what, positions, others)
			}
		}
	})
}

// A container that does not run has something to be read if it ran since the first
// start, or was being read.
func TestRanSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		now := time.Now().Add(time.Hour).UnixNano()
		old := container.Container{ID: "web", Created: now - 100, LastRun: container.LastRun{StartedAt: now - 90, FinishedAt: now - 80}}
		again := old
		again.StartedAt, again.FinishedAt = now+10, now+20
		never := container.Container{ID: "web", Created: now + 1}
		none := func(*Store) {}
		for _, c := range []struct {
			what  string
			known func(*Store)
			c     container.Container
			want  bool
		}{
			{"before", none, old, false},
			{"since", none, again, true},
			{"never", none, never, false},
			{"known to have stopped", func(s *Store) { s.LeaveOut("web", Other{Stopped: true, Last: old.LastRun}) }, old, false},
			{"known to have stopped, ran again", func(s *Store) { s.LeaveOut("web", Other{Stopped: true, Last: old.LastRun}) }, again, true},
			{"was being read", func(s *Store) { s.End("web", "web", &position.Position{}) }, old, true},
		} {
			s := storing(Start{}, &log)
			c.known(s)
			if have := s.RanSince(&c.c); have != c.want {
				t.Errorf("%s: %v", c.what, have)
			}
		}
	})
}

// What is to be saved is given once, is what a later run loads, and outlives the
// containers by some minutes only.
func TestStoreIsSavedAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := storing(Start{}, &log)
		s.End("gone", "gone", &position.Position{Kind: position.FromTime, TS: 7})
		s.LeaveOut("noisy", Other{Unwanted: 1})
		s.AllListed(map[string]bool{"noisy": true})
		cp := s.Content(false)
		if cp == nil || len(cp.Containers) != 1 || cp.Others["noisy"].Unwanted != s.Now() || cp.FirstStart.UnixNano() != s.BeganAt() {
			t.Fatalf("%+v", cp)
		}
		if s.Content(false) != nil {
			t.Error("it is given again")
		}
		if s.Change(); s.Content(false) == nil || s.Content(true) == nil {
			t.Error("it is not given again")
		}

		later := NewStore(StoreOptions{Began: time.Now(), Grace: 10 * time.Minute}, slog.New(slog.DiscardHandler))
		if later.Content(true) != nil {
			t.Error("something is to be saved before an Engine was there")
		}
		later.Load(cp)
		for _, want := range []struct {
			after            time.Duration
			positions, kinds int
		}{
			{9 * time.Minute, 1, 1},
			{11 * time.Minute, 0, 0},
		} {
			time.Sleep(want.after)
			later.AllListed(nil)
			if positions, others := later.Len(); positions != want.positions || others != want.kinds {
				t.Errorf("after %v more: %d positions, %d others", want.after, positions, others)
			}
		}
	})
}

// Until when a container was not wanted is known of runs of the agent that have seen it:
// one that did not reach the Engine may have been told to capture it.
func TestUnwantedUpToTheLastLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		first := storing(Start{}, &log)
		first.LeaveOut("noisy", Other{Unwanted: 1})
		first.AllListed(map[string]bool{"noisy": true})
		time.Sleep(time.Minute)
		cp := first.Content(true)
		until := cp.Others["noisy"].Unwanted
		if until != first.Now() {
			t.Fatalf("%d, not %d", until, first.Now())
		}
		time.Sleep(time.Minute)
		later := storing(Start{}, &log)
		later.Load(cp)
		time.Sleep(time.Minute)
		if have := later.Content(true).Others["noisy"].Unwanted; have != until {
			t.Errorf("not wanted for %v longer", time.Duration(have-until))
		}
		later.LeaveOut("noisy", Other{Unwanted: later.Now()})
		time.Sleep(time.Minute)
		if have := later.Content(true).Others["noisy"].Unwanted; have != later.Now() {
			t.Errorf("%d, not %d", have, later.Now())
		}
	})
}

// One list that lacks a container forgets nothing, however long ago the one before was:
// lists in a row do.
func TestStoreOutlivesALackingList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := storing(Start{}, &log)
		s.End("web", "web", &position.Position{Kind: position.FromTime, TS: 7})
		s.LeaveOut("noisy", Other{Unwanted: 1})
		both := map[string]bool{"web": true, "noisy": true}
		for _, list := range []map[string]bool{both, nil, both, nil} {
			time.Sleep(time.Hour) // the Engine did not answer
			s.AllListed(list)
			if positions, others := s.Len(); positions != 1 || others != 1 {
				t.Fatalf("%d positions, %d others behind %v", positions, others, list)
			}
		}
		for range 12 {
			time.Sleep(time.Minute)
			s.AllListed(nil)
		}
		if positions, others := s.Len(); positions+others != 0 {
			t.Errorf("%d positions and %d others of containers that are gone", positions, others)
		}
	})
}

// A clock that is set dates anew what is dated by it.
func TestClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := storing(Start{}, &log)
		first := s.BeganAt()
		s.NoteClock(time.Hour + time.Second)
		if s.BeganAt() != first || log.Len() > 0 {
			t.Errorf("a second is no step:\n%s", &log)
		}
		s.NoteClock(-time.Hour)
		if s.BeganAt() != first-int64(2*time.Hour) || s.Content(true).FirstStart.UnixNano() != s.BeganAt() || !strings.Contains(log.String(), "the clock was set") {
			t.Errorf("moved by %v:\n%s", time.Duration(s.BeganAt()-first), &log)
		}

		var said bytes.Buffer
		ahead := NewStore(StoreOptions{Began: time.Now()}, slog.New(slog.NewTextHandler(&said, nil)))
		ahead.Load(&Content{FirstStart: time.Now().Add(24 * time.Hour)})
		if ahead.NoteClock(0); ahead.Content(true).FirstStart.UnixNano() != ahead.BeganAt() || !strings.Contains(said.String(), "its first start lies in the future") {
			t.Errorf("it says\n%s", &said)
		}
	})
}
