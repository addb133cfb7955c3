package soak

import (
	"os"
	"testing"
)

// TestInspect: of a process that is there the kernel says something, of one that is not an error.
func TestInspect(t *testing.T) {
	p, err := Inspect(os.Getpid())
	if err != nil || p.FDs < 3 || p.Threads < 1 || p.RSS < 1<<20 || p.Peak < p.RSS {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := Inspect(1 << 30); err == nil {
		t.Errorf("%+v", p)
	}
}

// TestCPU: a program may call itself what it likes.
func TestCPU(t *testing.T) {
	for text, want := range map[string]float64{
		"12 (a) S 1 12 12 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0 100 1 1":       1.75,
		"12 (a) 9 (b) S 1 12 12 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0 100 1 1": 1.75,
		"12 (a) Z": 0,
		"":         0,
	} {
		if got := cpu(text); got != want {
			t.Errorf("%q took %g s, want %g", text, got, want)
		}
	}
}
