package backends

import (
	"context"
	"fmt"
	"maps"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/plugin/e2e"
)

// patience is how long after the last line the last record may come: a retry of Fluent Bit waits 30 seconds at most.
const patience = 2 * time.Minute

// demand is what a case asks of one backend.
type demand int

const (
	shown    demand = iota // nothing: what is missing is known to be, and stands in the table
	complete               // each line, with its time; what came twice or out of order stands in the table
	exact                  // each line once, in order, with its time
)

// judge compares what arrived with what the Engine has, and fails the test where a demand is not met.
func (l *load) judge(loki, kafka demand) {
	l.t.Helper()
	<-l.written
	want := map[string][]e2e.Line{}
	for _, c := range l.containers {
		for _, line := range c.Logs() {
			want[c.ID] = append(want[c.ID], e2e.Line{Container: c.Name, Std: line.Std, Text: line.Text, Time: line.Time})
		}
		if n := len(want[c.ID]); n != l.total/containers {
			l.t.Errorf("%s wrote %d lines, not %d", c.Name, n, l.total/containers)
		}
	}
	r, bad := l.compare("Loki", want, l.fromLoki, loki)
	r.doubled += l.storedTwice()
	if loki == exact && r.doubled > 0 {
		l.t.Errorf("Loki holds %d lines too many", r.doubled)
	}
	l.demand(loki, r, bad)
	r, bad = l.compare("Kafka", want, l.fromKafka, kafka)
	l.demand(kafka, r, bad)
}

func (l *load) demand(d demand, r row, bad []e2e.Verdict) {
	l.t.Helper()
	results.add(r)
	for _, v := range bad {
		if d == exact || v.Foreign.Count+v.Mistimed.Count > 0 || d == complete && v.Missing.Count > 0 {
			l.t.Errorf("%s: %v", r.backend, v)
		}
	}
}

// compare judges one backend, again and again until nothing is missing there or patience is at its end.
func (l *load) compare(name string, want map[string][]e2e.Line, read func(*enginetest.Container) ([]e2e.Line, error), d demand) (row, []e2e.Verdict) {
	l.t.Helper()
	wait := patience
	if d == shown {
		wait = 40 * time.Second
	}
	for {
		last := time.Since(l.ended) > wait
		r := row{what: l.what, backend: name, after: l.late(name)}
		var bad []e2e.Verdict
		if last || l.has(name) {
			for _, c := range l.containers {
				got, err := read(c)
				if err != nil {
					l.t.Errorf("%s: %v", name, err)
					return r, nil
				}
				for _, v := range e2e.Compare(want[c.ID], got) {
					r.add(v)
					if !v.OK() {
						bad = append(bad, v)
					}
				}
			}
			if last || r.missing == 0 {
				return r, bad
			}
		}
		time.Sleep(time.Second)
	}
}

// storedTwice is how many entries Loki holds twice: a query of lines gives one of two that are equal in labels, time and
// text, a query of numbers counts both.
func (l *load) storedTwice() int {
	l.t.Helper()
	stored, err := theLoki.count(context.Background(), l.selector())
	if err != nil {
		l.t.Error(err)
	}
	return max(0, stored-l.total)
}

func (l *load) fromLoki(c *enginetest.Container) ([]e2e.Line, error) {
	var lines []e2e.Line
	for _, std := range []string{"stdout", "stderr"} {
		entries, err := theLoki.entries(context.Background(), fmt.Sprintf(`{container_name=%q,stream=%q}`, c.Name, std), l.began)
		if err != nil {
			return nil, err
		}
		labels := l.fields(c, std)
		labels["job"] = "docker"
		metadata := map[string]string{}
		for _, key := range []string{"container_id", "compose_project", "image"} {
			if v, ok := labels[key]; ok {
				metadata[key] = v
				delete(labels, key)
			}
		}
		for _, e := range entries {
			// These two are Loki's own guesses.
			delete(e.labels, "service_name")
			delete(e.metadata, "detected_level")
			if !maps.Equal(e.labels, labels) || !maps.Equal(e.metadata, metadata) {
				return nil, fmt.Errorf("%q has\n  labels %v, metadata %v, want\n  labels %v, metadata %v", e.text, e.labels, e.metadata, labels, metadata)
			}
			lines = append(lines, e2e.Line{Container: c.Name, Std: std, Text: e.text, Time: e.at})
		}
	}
	return lines, nil
}

func (l *load) fromKafka(c *enginetest.Container) ([]e2e.Line, error) {
	messages, err := l.kafka.of(c.ID)
	if err != nil {
		return nil, err
	}
	var lines []e2e.Line
	fields := l.fields(c, "")
	for _, m := range messages {
		text, std := m.fields["log"], m.fields["stream"]
		fields["log"], fields["stream"] = text, std
		if m.topic != l.topic(c.Name) || m.partition != messages[0].partition || m.key != c.ID || !maps.Equal(m.fields, fields) {
			return nil, fmt.Errorf("message in %s/%d with key %s is\n  %v, want it in %s/%d with key %s and\n  %v",
				m.topic, m.partition, m.key, m.fields, l.topic(c.Name), messages[0].partition, c.ID, fields)
		}
		lines = append(lines, e2e.Line{Container: c.Name, Std: std, Text: text, Time: m.at})
	}
	return lines, nil
}
