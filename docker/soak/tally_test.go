package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSequence compares what is counted with the whole list of numbers, for random losses, doubles and shuffles.
func TestSequence(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		const last = 60
		var came []int
		for n := 1; n <= last; n++ {
			switch r.IntN(10) {
			case 0: // lost
			case 1:
				came = append(came, n, n)
			default:
				came = append(came, n)
			}
		}
		for range r.IntN(4) {
			if len(came) > 1 {
				i, j := r.IntN(len(came)), r.IntN(len(came))
				came[i], came[j] = came[j], came[i]
			}
		}
		want := Count{Lines: len(came)}
		greatest, seen := 0, map[int]bool{}
		for _, n := range came {
			switch {
			case seen[n]:
				want.Doubled++
			case n < greatest:
				want.Late++
			}
			seen[n], greatest = true, max(greatest, n)
		}
		want.Missing = last - len(seen)
		q := sequence{next: 1}
		for _, n := range came {
			q.see(n)
		}
		if got := q.count(last); got != want {
			t.Fatalf("seed %d: %v gives %+v, want %+v", seed, came, got, want)
		}
		if got := q.count(0).Missing; got != want.Missing-(last-greatest) {
			t.Fatalf("seed %d: %d missing so far, want %d", seed, got, want.Missing-(last-greatest))
		}
	}
}

func TestTally(t *testing.T) {
	a := newTally("run")
	for _, n := range []int{1, 2, 4} {
		a.see("c", "stdout", fmt.Sprintf("run stdout %d payload", n))
	}
	a.see("c", "stderr", "run stderr 1 payload")
	for _, text := range []string{"", "run stdout x payload", "other stdout 1 payload", "run stderr 5 payload", "run stdout 0 payload"} {
		a.see("c", "stdout", text)
	}
	written := map[Key]int{{"c", "stdout"}: 4, {"c", "stderr"}: 2, {"never heard of", "stdout"}: 3}
	sum, foreign := a.total(written)
	if want := (Count{Lines: 4, Missing: 1 + 1 + 3}); sum != want || foreign != 5 {
		t.Errorf("%+v and %d foreign, want %+v and 5", sum, foreign, want)
	}
	if ok, _ := a.complete(written); ok {
		t.Error("complete without the last lines")
	}
	if ok, _ := a.complete(map[Key]int{{"c", "stdout"}: 4}); !ok {
		t.Error("not complete, although the last line is there")
	}
	if n := len(a.each(written)); n != len(written) {
		t.Errorf("%d sequences", n)
	}
}

// TestHolesAreFew: memory does not grow with the lines.
func TestHolesAreFew(t *testing.T) {
	q := sequence{next: 1}
	for n := 1; n < 100_000; n++ {
		q.see(n)
	}
	q.see(200_000)
	if !slices.Equal(q.holes, []span{{100_000, 199_999}}) {
		t.Errorf("%v", q.holes)
	}
}
