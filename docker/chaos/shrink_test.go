package chaos

import (
	"fmt"
	"slices"
	"testing"
)

// A plan is left with the steps that its find needs, at the times that they had.
func TestShorten(t *testing.T) {
	long := &Plan{Containers: make([]Container, 3)}
	for range 12 {
		long.Steps = append(long.Steps, Step{After: 100, Do: "cut"})
	}
	long.Steps[3].Do, long.Steps[8].Do, long.Steps[8].On = "agent is killed", "engine stops", 1
	at := func(p *Plan, do string) (at int64, there bool) {
		for _, s := range p.Steps {
			if at += s.After; s.Do == do {
				return at, true
			}
		}
		return 0, false
	}
	killed, _ := at(long, "agent is killed")
	runs := 0
	finds := func(p *Plan) []string {
		runs++
		_, kill := at(p, "agent is killed")
		_, stop := at(p, "engine stops")
		if kill && stop {
			return []string{fmt.Sprintf("c%d stdout (follow, json-file): %d missing", runs, runs)}
		}
		return []string{"another find"}
	}
	short := shorten(long, []string{"c0 stdout (follow, json-file): 7 missing"}, 100, finds)
	if got, _ := at(short, "agent is killed"); len(short.Steps) != 2 || len(short.Containers) != 2 || got != killed {
		t.Errorf("%d steps are left, the kill is at %d instead of %d:\n%s", len(short.Steps), got, killed, short.Words())
	}
	if len(long.Steps) != 12 || runs > 100 {
		t.Errorf("the plan itself has %d steps by now, after %d runs", len(long.Steps), runs)
	}
	runs = 0
	if shorten(long, []string{"c0 stdout (follow, json-file): 7 missing"}, 3, finds); runs != 3 {
		t.Errorf("%d runs instead of 3", runs)
	}
	if p := shorten(long, []string{"what comes no more"}, 100, finds); !slices.Equal(p.Steps, long.Steps) {
		t.Errorf("without the find it became\n%s", p.Words())
	}
}
