package main

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/dockertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunServesUntilItsContextEnds(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, socket, t.TempDir(), "1.41", 5, habits{rate: 1000, active: -1}) }()
	for { // it has no other sign of being up
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("unix", socket); err == nil {
		t.Error("still serving")
	}
}

func TestCast(t *testing.T) {
	e := dockertest.New()
	c := newCast(e, 7, "")
	var names []string
	for _, ctr := range c.ctrs {
		names = append(names, ctr.Name())
	}
	if want := "shop-api-2"; len(names) != 7 || names[6] != want {
		t.Errorf("%v: the last should be %s", names, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.chat(ctx, habits{rate: 100, active: len(c.ctrs)})
	for _, ctr := range c.ctrs {
		if ctr.Records() != 1 {
			t.Errorf("%v has %d records", ctr, ctr.Records())
		}
	}
}
