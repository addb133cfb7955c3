package capture

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// loss says whether lines of a container may be missing.
type loss int

const (
	lossNone loss = iota
	lossCounted
	lossSilent
)

// check compares what a container wrote with what came.
func (w *world) check(x *written) error {
	x.finish()
	for std := stdout; std <= stderr; std++ {
		want, have := x.stored(std), x.came[std]
		if x.lossy == lossSilent { // then a fragment does not know that it is one
			have = slices.DeleteFunc(slices.Clone(have), func(line string) bool { return !slices.Contains(want, line) })
		}
		if x.lossy == lossNone && len(x.fragments[std]) > 0 {
			return fmt.Errorf("container %s, std %d: a line came flagged as incomplete: %s", x.c.Name(), std, brief(x.fragments[std][0]))
		}
		if err := compare(want, have, w.kills > 0); err != nil {
			counted := w.gaps > 0 && strings.Contains(w.log.String(), "gap: ")
			var missing missingError
			if errors.As(err, &missing) && (x.lossy == lossSilent || (x.lossy == lossCounted && counted)) {
				continue
			}
			return fmt.Errorf("container %s, std %d, %v gaps: %w", x.c.Name(), std, w.gaps, err)
		}
	}
	return nil
}

type missingError struct{ text string }

func (e missingError) Error() string { return e.text }

// compare wants each line of want once and in order in have; after a kill lines
// may come again, in a row from an earlier one on.
func compare(want, have []string, killed bool) error {
	i, most := 0, 0 // next of want, and how far it ever was
	missing, first := 0, -1
	for k, line := range have {
		if i < len(want) && want[i] == line {
			i++
			most = max(most, i)
			continue
		}
		// Some are missing, or it begins again.
		at := indexFrom(want, line, i)
		if killed {
			if back := lastIndexBefore(want, line, i); back >= 0 {
				at = back
			}
		}
		switch {
		case at < 0:
			return fmt.Errorf("record %d of %d is no line that was to come there: %s (after line %d of %d)", k, len(have), brief(line), i, len(want))
		case at > most:
			if missing += at - most; first < 0 {
				first = most
			}
		}
		i = at + 1
		most = max(most, i)
	}
	if missing += len(want) - most; missing > 0 {
		if first < 0 {
			first = most
		}
		return missingError{fmt.Sprintf("%d of %d lines are missing, the first is %s", missing, len(want), brief(want[first]))}
	}
	return nil
}

func indexFrom(s []string, line string, from int) int {
	for i := from; i < len(s); i++ {
		if s[i] == line {
			return i
		}
	}
	return -1
}

func lastIndexBefore(s []string, line string, before int) int {
	for i := min(before, len(s)) - 1; i >= 0; i-- {
		if s[i] == line {
			return i
		}
	}
	return -1
}

func brief(s string) string { return fmt.Sprintf("%.40q (%d bytes)", s, len(s)) }

var _ io.Writer = (*logBuffer)(nil)
