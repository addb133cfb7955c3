package main

import (
	"bytes"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// What is older than safeAge, without a pause since, counts as safe where
	// the counter cannot be used.
	safeAge = time.Second
	// After settleTime without an append or a change the counter must agree. An
	// output that blocks the main thread delays the counter, too, for seconds.
	settleTime = 20 * time.Second
	// maxInRing leaves room in a ring of ringCapacity: a full one blocks the
	// thread for a second, deaf to a pause, and then logs an error.
	maxInRing = 48
)

// acker works out how many of the appended records Fluent Bit holds in
// chunks. An append only reaches a ring, which is dropped when Fluent Bit
// exits while the input is paused; the instance's counter of records moves
// when the ring is drained. Where that counter cannot be read, or counts
// other records than ours because an input processor adds or drops some, age
// decides instead.
type acker struct {
	read func() (uint64, bool)
	log  *slog.Logger

	base            uint64 // of the counter when the instance was made
	counted         uint64 // by the counter since then, as of the last look
	appended, acked uint64
	changed         time.Time // last append, resume or move of the counter
	settled         bool      // the counter was found to agree since the last append

	inRing []uint64 // by the counter: appended, after each append that is in the ring, oldest first

	byAge bool
	young []aged // by age: not acked yet, oldest first
}

// aged is a number of appended records and when it was reached.
type aged struct {
	total uint64
	at    time.Time
}

func newAcker(read func() (uint64, bool), log *slog.Logger) acker {
	a := acker{read: read, log: log, settled: true}
	var ok bool
	if a.base, ok = read(); !ok {
		a.switchToAge("the counter of records cannot be read")
	}
	return a
}

// add says that n more records were appended.
func (a *acker) add(n int, now time.Time) {
	a.appended += uint64(n)
	a.changed, a.settled = now, false
	if !a.byAge {
		a.inRing = append(a.inRing, a.appended)
		return
	}
	last := len(a.young) - 1
	if last > 0 && now.Sub(a.young[last-1].at) < ackEvery {
		a.young[last] = aged{a.appended, now} // few entries, however small the batches
		return
	}
	a.young = append(a.young, aged{a.appended, now})
}

// resumed says that a pause is over. What was appended shortly before it may
// still be in the ring.
func (a *acker) resumed(now time.Time) {
	a.changed = now
	if n := len(a.young); n > 0 {
		a.young = append(a.young[:0], aged{a.young[n-1].total, now})
	}
}

// full reports whether the ring has to drain before the next append.
func (a *acker) full() bool { return len(a.inRing) >= maxInRing }

// due reports whether poll can find anything new.
func (a *acker) due() bool { return a.acked < a.appended || !a.settled }

// poll returns how many records are safe, and whether these are more than
// last time.
func (a *acker) poll(now time.Time, paused bool) (total uint64, more bool) {
	total = a.acked
	if !a.byAge {
		total = a.byCounter(now, paused)
	}
	if a.byAge {
		total = a.byAgeAt(now, paused)
		a.settled = true
	}
	more = total > a.acked
	a.acked = max(a.acked, total)
	return a.acked, more
}

func (a *acker) byCounter(now time.Time, paused bool) uint64 {
	n, ok := a.read()
	if !ok || n < a.base {
		a.switchToAge("the counter of records cannot be read any more")
		return a.acked
	}
	n -= a.base
	if n != a.counted {
		a.counted, a.changed = n, now
		drained := 0
		for drained < len(a.inRing) && a.inRing[drained] <= n {
			drained++
		}
		a.inRing = slices.Delete(a.inRing, 0, drained)
	}
	idle := !paused && now.Sub(a.changed) > settleTime
	switch {
	case n > a.appended, n < a.appended && idle:
		a.switchToAge("an input processor adds or drops records, or Fluent Bit refused some")
	case idle:
		a.settled = true
	}
	return min(n, a.appended)
}

func (a *acker) switchToAge(why string) {
	a.byAge, a.inRing = true, nil
	if a.appended > a.acked {
		a.young = append(a.young, aged{a.appended, a.changed})
	}
	a.log.Warn("positions are committed one second after the append: lines may be repeated or lost at a restart",
		"reason", why, "counted", a.counted, "appended", a.appended)
}

func (a *acker) byAgeAt(now time.Time, paused bool) uint64 {
	total := a.acked
	for !paused && len(a.young) > 0 && now.Sub(a.young[0].at) > safeAge {
		total = a.young[0].total
		a.young = a.young[1:]
	}
	return total
}

// parseRecords finds the records counter of the input called name in
// Prometheus' text format.
func parseRecords(text []byte, name string) (uint64, bool) {
	label := []byte(`name="` + labelEscaper.Replace(name) + `"`)
	for line := range bytes.Lines(text) {
		line, ok := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte("fluentbit_input_records_total{"))
		if !ok {
			continue
		}
		end := bytes.LastIndexByte(line, ' ')
		at := bytes.Index(line, label)
		if end < 0 || at < 0 || at > 0 && line[at-1] != ',' {
			continue
		}
		v, err := strconv.ParseFloat(string(line[end+1:]), 64)
		return uint64(v), err == nil && v >= 0
	}
	return 0, false
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
