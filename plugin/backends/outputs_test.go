package backends

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/plugin/backends/sinks"
	"fluent-bit-docker-logs/plugin/e2e"
)

// output is an example of conf/, the server of the tests that it sends to, and the unit of the times that its protocol has.
type output struct {
	conf, plugin string
	start        func(testing.TB) *sinks.Sink
	unit         time.Duration
}

var outputs = []output{
	{"opensearch", "opensearch", sinks.OpenSearch, time.Nanosecond},
	{"opensearch", "es", sinks.OpenSearch, time.Nanosecond},
	{"http", "http", sinks.HTTP, time.Microsecond},
	{"opentelemetry", "opentelemetry", sinks.OTLP, time.Nanosecond},
	{"forward", "forward", sinks.Forward, time.Nanosecond},
	{"splunk", "splunk", sinks.Splunk, time.Microsecond},
	{"s3", "s3", sinks.S3, time.Microsecond},
}

// backend is the server as what a load is judged by.
func (o output) backend(s *sinks.Sink) *sinkBackend { return &sinkBackend{s, o} }

type sinkBackend struct {
	*sinks.Sink
	output
}

func (b *sinkBackend) name() string { return b.plugin }

func (b *sinkBackend) count(context.Context, *load) (int, error) {
	records, err := b.Records()
	return len(records), err
}

func (b *sinkBackend) hidden(context.Context, *load) (int, error) { return 0, nil }

// lines are in the order of their times, as a store shows them: chunks may overtake each other. They have the Engine's times, where
// what came is the same in the protocol's unit.
func (b *sinkBackend) lines(_ context.Context, l *load, c *enginetest.Container) (lines []e2e.Line, err error) {
	records, err := b.Records()
	if err != nil {
		return nil, err
	}
	exact := map[string]time.Time{}
	if b.unit > time.Nanosecond {
		for _, line := range c.Logs() {
			exact[line.Std+line.Text] = line.Time
		}
	}
	for _, r := range records {
		if r.Fields["container_id"] != c.ID {
			continue
		}
		text, std := r.Fields["log"], r.Fields["stream"]
		want := l.fields(c, std)
		want["log"] = text
		if !maps.Equal(r.Fields, want) {
			return nil, fmt.Errorf("a record is\n  %v, want\n  %v", r.Fields, want)
		}
		if at := exact[std+text]; at.Sub(r.Time).Abs() < b.unit {
			r.Time = at
		}
		lines = append(lines, e2e.Line{Container: c.Name, Std: std, Text: text, Time: r.Time})
	}
	slices.SortStableFunc(lines, func(a, b e2e.Line) int { return a.Time.Compare(b.Time) })
	return lines, nil
}

// eachOutput runs a test with each output that Fluent Bit has here.
func eachOutput(t *testing.T, test func(t *testing.T, o output)) {
	needs(t)
	for _, o := range outputs {
		t.Run(o.plugin, func(t *testing.T) {
			if err := exec.CommandContext(t.Context(), program(), "-o", o.plugin, "-h").Run(); err != nil {
				t.Skipf("this fluent-bit was built without output %s: conf/%s.* was not tried here, its keys are compared with a list alone", o.plugin, o.conf)
			}
			t.Parallel()
			test(t, o)
		})
	}
}

// agent is Fluent Bit with the example, for the containers whose names begin so; it tries again as fast as it can.
func (o output) agent(t *testing.T, engine, short string, s *sinks.Sink) *fluentBit {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	upper := map[string]string{"opentelemetry": "OTLP"}[o.conf]
	if upper == "" {
		upper = strings.ToUpper(o.conf)
	}
	more := []setting{{"scheduler.cap", "1", ""}, {"Flush", "0.2", ""}}
	if o.conf == "s3" {
		dir := t.TempDir()
		more = append(more, setting{"Endpoint", "http://" + s.Addr, "s3"}, setting{"Store_Dir", dir, ""}, setting{"Upload_Timeout", "1s", ""})
	}
	env := []string{upper + "_HOST=" + host, upper + "_PORT=" + port, "SPLUNK_TOKEN=" + sinks.SplunkToken,
		"S3_BUCKET=logs", "S3_REGION=nowhere", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}
	prefix := ""
	if short != "" {
		prefix = shortPrefix(short)
	}
	f := newFluentBit(t, engine, o.conf+".conf", prefix, env, more...)
	if o.plugin != o.conf { // an output of the same keys
		text, err := os.ReadFile(filepath.Join(f.dir, "fluent-bit.conf"))
		if err != nil {
			t.Fatal(err)
		}
		f.write("fluent-bit.conf", regexp.MustCompile(`(?m)^( *Name +)`+o.conf+`$`).ReplaceAllString(string(text), "${1}"+o.plugin))
	}
	return f
}

// small is a load of seconds.
var small = volume{2, 250, 250}

// TestOutputs: what Fluent Bit sends with each example is at the server, each line once, with its time and keys.
func TestOutputs(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		e := enginetest.First(t)
		s := o.start(t)
		o.agent(t, e.Host, "calm-"+o.plugin, s).start()
		startLoad(t, e, o.plugin+", calm", "calm-"+o.plugin, small, 200*time.Millisecond, o.backend(s)).judge(exact)
	})
}

// TestOutputsRefused: a server that refuses for a while gets each line once afterwards.
func TestOutputsRefused(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		e := enginetest.First(t)
		s := o.start(t)
		s.Set(sinks.Refuses)
		f := o.agent(t, e.Host, "refused-"+o.plugin, s)
		f.start()
		l := startLoad(t, e, o.plugin+", refusing", "refused-"+o.plugin, small, 200*time.Millisecond, o.backend(s))
		refusals := 3
		if o.plugin == "s3" {
			refusals = 8 // it gives an upload five attempts before it begins again
		}
		await(t, "refusals", func() bool { return s.Denied() >= refusals })
		s.Set(sinks.Takes)
		l.judge(complete)
		await(t, "an end of all chunks", func() bool { return f.came(s, l.total) })
		if records, err := s.Records(); err != nil || len(records) != l.total {
			t.Errorf("it has %d records, %d lines were written; %v", len(records), l.total, err)
		}
	})
}

// TestOutputsAnswersLost: what was taken before its answer was lost comes again. OpenSearch then has it once, by its id.
func TestOutputsAnswersLost(t *testing.T) {
	eachOutput(t, func(t *testing.T, o output) {
		e := enginetest.First(t)
		s := o.start(t)
		s.Set(sinks.Loses)
		f := o.agent(t, e.Host, "lost-"+o.plugin, s)
		f.start()
		l := startLoad(t, e, o.plugin+", answers lost", "lost-"+o.plugin, small, 200*time.Millisecond, o.backend(s))
		await(t, "two answers that are lost", func() bool { return s.Denied() >= 2 })
		s.Set(sinks.Takes)
		l.judge(complete)
		await(t, "an end of all chunks", func() bool { return f.came(s, l.total) })
		if records, err := s.Records(); err != nil || (len(records) == l.total) != (o.conf == "opensearch") {
			t.Errorf("it has %d records, %d lines were written; %v", len(records), l.total, err)
		}
	})
}

// TestOTLPInOneRequest: a chunk is one request, so that none of its records comes twice where a server refuses in between.
func TestOTLPInOneRequest(t *testing.T) {
	needs(t)
	t.Parallel()
	const lines = 30_000
	o := outputs[slices.IndexFunc(outputs, func(o output) bool { return o.plugin == "opentelemetry" })]
	e := dockertest.Start(t)
	e.Run(dockertest.Container{Name: "web"}).Flood(dockertest.Stdout, lines, func(dst []byte, i int) []byte { return fmt.Appendf(dst, "line %d", i) })
	s := o.start(t)
	n := 0
	s.Decide(func([]sinks.Record) int {
		n++
		return []int{0, 503}[n%2]
	})
	f := o.agent(t, e.Host(), "", s)
	f.start()
	await(t, "all lines", func() bool { return f.came(s, lines) })
	records, err := s.Records()
	times := map[string]int{}
	for _, r := range records {
		times[r.Fields["log"]]++
	}
	if err != nil || len(records) != lines || len(times) != lines || s.Denied() == 0 {
		t.Errorf("%d records, %d different ones, %d requests refused, %v", len(records), len(times), s.Denied(), err)
	}
}

// came says whether so many records came and no chunk is left.
func (f *fluentBit) came(s *sinks.Sink, n int) bool {
	left, err := filepath.Glob(filepath.Join(f.dir, "storage", "docker_logs.0", "*.flb"))
	records, wrong := s.Records()
	return errors.Join(err, wrong) != nil || len(left) == 0 && len(records) >= n
}

// final are the answers after which an output gives a chunk up, of those that are asked for.
var final = map[string][]int{
	"http":          {400, 401, 403, 404, 413},
	"splunk":        {400, 401, 403, 404, 413},
	"opentelemetry": {400, 401, 403, 404, 408, 413, 500},
}

// TestOutputsFinal: which answers cost lines, as conf/README.md says.
func TestOutputsFinal(t *testing.T) {
	statuses := []int{400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504}
	eachOutput(t, func(t *testing.T, o output) {
		if o.plugin == "forward" || o.plugin == "s3" {
			t.Skip("this output knows no status: what is not confirmed is tried again")
		}
		e := dockertest.Start(t)
		s := o.start(t)
		asked := map[string]bool{}
		s.Decide(func(records []sinks.Record) int {
			for _, r := range records { // each request is of the lines of one chunk
				if status, err := strconv.Atoi(r.Fields["log"]); err == nil && !asked[r.Fields["log"]] {
					asked[r.Fields["log"]] = true
					return status
				}
			}
			return 0
		})
		f := o.agent(t, e.Host(), "", s)
		c := e.Run(dockertest.Container{Name: "web"})
		f.start()
		for i, status := range statuses {
			c.Stdout(strconv.Itoa(status))
			await(t, fmt.Sprint("the request of ", status), func() bool { return s.Denied() > i })
		}
		await(t, "an end of all chunks", func() bool { return f.came(s, len(statuses)-len(final[o.plugin])) })
		records, err := s.Records()
		if err != nil {
			t.Fatal(err)
		}
		var lost []int
		for _, status := range statuses {
			if !slices.ContainsFunc(records, func(r sinks.Record) bool { return r.Fields["log"] == strconv.Itoa(status) }) {
				lost = append(lost, status)
			}
		}
		if !slices.Equal(lost, final[o.plugin]) {
			t.Errorf("%s gives up at %v, want %v", o.plugin, lost, final[o.plugin])
		}
	})
}
