package stream

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
)

// A container that was not wanted for a while, and is removed before its log is open
// again, may have written in between.
func TestRemovedWhenItIsWantedAgain(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	set := newSet(t, e.Host())
	s := set.at(t, c.ID, position.Position{})
	s.proven((*proof).opened)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.readOnce(ctx, newReaders(s)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c.Remove()
	if _, err := s.readOnce(t.Context(), newReaders(s)); !errors.Is(err, engine.ErrGone) {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(set.tasks.Metrics.Unpolled); n != 1 {
		t.Errorf("%v containers that were not read to their end, not 1", n)
	}
}
