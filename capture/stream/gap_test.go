package stream

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/testkit"
)

// An empty log of a container that is gone by then is no gap.
func TestNoGapOfARemovedContainer(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	set := newSet(t, e.Host())
	s := set.at(t, c.ID, position.Position{})
	c.Remove()
	if err := s.reportGap(t.Context(), &position.Anchor{}); !errors.Is(err, engine.ErrGone) {
		t.Error(err)
	}
	if n := testutil.ToFloat64(set.tasks.Metrics.Gaps); n != 0 {
		t.Errorf("%v gaps", n)
	}
}

// A gap that is found again before anything was consumed is the same one.
func TestGapFoundAgain(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	set := newSet(t, e.Host())
	s := set.at(t, c.ID, position.Position{})
	at := position.Anchor{N: 1, Marks: [position.AnchorDepth]position.Mark{{TS: 5, Std: decode.Stdout, Count: 1}}}
	count := func() float64 { return testutil.ToFloat64(set.tasks.Metrics.Gaps) }
	for i := range 3 {
		want := reader.ErrMoved
		if i > 0 { // it was of no use
			want = reader.ErrNotInView
		}
		if err := s.reportGap(t.Context(), &at); !errors.Is(err, want) {
			t.Fatal(err)
		}
	}
	if n := count(); n != 1 {
		t.Errorf("%v gaps, not 1", n)
	}
	testkit.Must(t, s.Deliver(t.Context(), nil, func() error {
		s.Accept(&decode.Entry{Std: decode.Stdout, TS: 1, Newline: true})
		return nil
	}))
	_ = s.reportGap(t.Context(), &at)
	if n := count(); n != 2 {
		t.Errorf("%v gaps, not 2", n)
	}
}
