package stream

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/testkit"
)

// That labels have one key is said once.
func TestLabelsThatMeetAreSaid(t *testing.T) {
	var log bytes.Buffer
	s := benchStream(t)
	testkit.Must(t, container.ParseLabels(&s.all.Records.Labels, "*"))
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	c := &container.Container{ID: s.id, Name: "other", Labels: map[string]string{"a.b": "dot", "a-b": "dash", "a_b": "itself"}}
	s.describe(c)
	again := *c
	again.Name = "renamed"
	s.describe(&again)
	if n := strings.Count(log.String(), "have the same record key"); n != 2 || !strings.Contains(log.String(), "second=a.b") {
		t.Errorf("said %q", log.String())
	}
}

// What a writer is told of how its log is read.
func TestHowALogIsRead(t *testing.T) {
	s := benchStream(t)
	task := &streamTask{stream: s, cancel: func() {}}
	set := newTasks(s.all)
	set.byID[s.id], s.fate = task, set.fateOf(s)
	now := time.Now()
	longAgo := now.Add(-time.Hour)
	for _, test := range []struct {
		what string
		set  func()
		want lines.Course
	}{
		{"it is opened", func() { s.setState(status.Reading); s.doingSince = longAgo }, lines.Course{Runs: true, Since: longAgo}},
		{"it is read", func() { s.inSync() }, lines.Course{Runs: true, Follows: true, Since: longAgo}},
		{"it does not run", func() { task.cancel = nil }, lines.Course{Follows: true, Since: longAgo}},
		{"it fails", func() { task.cancel = func() {}; s.setState(status.Retrying); s.doingSince = now }, lines.Course{Runs: true, Since: now}},
		{"it is polled", func() {
			s.setState(status.Reading)
			s.doingSince, s.synced = now, time.Time{}
			s.notes.note(Poll)
			s.asks(longAgo)
		}, lines.Course{Runs: true, Since: now, Polls: true}},
		{"it was polled", func() { s.asks(time.Time{}); s.polledAt(longAgo) }, lines.Course{Runs: true, Since: now, Polls: true, Polled: longAgo}},
		{"it is polled again", func() { s.asks(now) }, lines.Course{Runs: true, Since: now, Polls: true}},
		{"another stream has its place", func() { delete(set.byID, s.id) }, lines.Course{Replaced: true, Since: now, Polls: true}},
	} {
		test.set()
		if have := s.reading(); have != test.want {
			t.Errorf("%s: %+v, not %+v", test.what, have, test.want)
		}
	}
}
