package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPauseResume(t *testing.T) {
	p := run(t, "-o", "null", probe, "records=1000000", "batch=10")
	p.wait("ok ready")
	for range 3 {
		p.do("pause")
		p.do("pause") // tells nobody twice
		if s := p.stats(); !s.Instances[0].Paused {
			t.Error("not paused")
		}
		drained := p.stats().Instances[0].Drained
		if now := p.stats().Instances[0].Drained; now != drained {
			t.Errorf("drained %d, then %d while paused", drained, now)
		}
		p.do("resume")
	}
	p.do("kill")
	p.end()
	var got []string
	for _, c := range names(p.calls()) {
		if c == "Pause" || c == "Resume" || c == "Exit" {
			got = append(got, c)
		}
	}
	if want := strings.Fields("Pause Resume Pause Resume Pause Resume"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestLimitPauses(t *testing.T) {
	const n = 20000
	p := run(t, "--mem-buf-limit", "10k", "--slow", "1M", probe, fmt.Sprint("records=", n), "batch=100")
	p.wait("paused .mem buf overlimit")
	p.wait("probe. Pause")
	p.wait("probe. Resume")
	p.do("slow 0")
	p.written(n)
	p.do("exit")
	p.end()
	p.wantSequence(n)
}

func TestRingFull(t *testing.T) {
	// the first record reaches the limit, so the ring of two fills up
	p := run(t, "--mem-buf-limit", "1", "--slow", "1", probe, "records=40", "capacity=2", "deaf=1")
	p.wait("could not enqueue records into the ring buffer")
	p.wait("probe. refused")
	if s := p.stats(); s.Instances[0].Ring != 2 || !s.Instances[0].Paused {
		t.Errorf("%+v", s.Instances)
	}
	p.do("slow 0")
	p.written(40)
	p.do("exit")
	p.end()
	p.wantSequence(40)
}

func TestRefuse(t *testing.T) {
	p := run(t, "--refuse", "3", probe, "records=30")
	p.wait("probe. refused")
	p.wait("probe. refused")
	p.wait("probe. refused")
	p.written(30)
	if s := p.stats(); s.Instances[0].Refused != 3 {
		t.Errorf("%+v", s.Instances)
	}
	p.do("exit")
	p.end()
	p.wantSequence(30)
}

func TestRefuseEvery(t *testing.T) {
	p := run(t, "--refuse", "every:2", probe, "records=10")
	p.wait("ok ready")
	p.written(10)
	if s := p.stats(); s.Instances[0].Refused < 9 {
		t.Errorf("%+v", s.Instances)
	}
	p.do("refuse 0")
	p.do("exit")
	p.end()
	p.wantSequence(10)
}

func TestRingLostWhilePaused(t *testing.T) {
	p := run(t, "--mem-buf-limit", "1", "--slow", "1", "--grace", "1", probe, "records=5", "deaf=1")
	p.wait("probe. Pause")
	p.do("exit")
	p.wait("appended=5 acked=1$")
	p.wait("4 lost in rings")
	if got := names(p.calls()); slices.Contains(got[4:len(got)-3], "Resume") || strings.Count(strings.Join(got, " "), "Pause") != 1 {
		t.Errorf("an input paused by its limit is told nothing at the end: %v", got)
	}
}

func TestDropsLikeAProcessor(t *testing.T) {
	p := run(t, "--drop-every", "3", probe, "records=9", "batch=4")
	p.wait("ok ready")
	p.written(6)
	p.do("exit")
	p.wait("appended=9 acked=6")
}
