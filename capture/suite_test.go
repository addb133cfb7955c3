package capture_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// readerCase is a way of reading in which every scenario of the conformance
// suite must give the same records.
type readerCase struct {
	name string
	file bool
}

var readerCases = []readerCase{{name: "follow"}, {name: "poll"}, {name: "file", file: true}}

var scenarios = []struct {
	name string
	run  func(*testing.T, readerCase)
}{
	{"new container is read from its beginning", testNewContainerIsReadFromItsBeginning},
	{"start from", testStartFrom},
	{"stream is resumed exactly", testStreamIsResumedExactly},
	{"content", testContent},
	{"partials are joined per std stream", testPartialsAreJoinedPerStdStream},
	{"long line is cut, flagged and counted", testLongLineIsCutFlaggedAndCounted},
	{"clock steps", testClockSteps},
	{"gap and a step back", testGapAndStepBack},
	{"gap by damage", testGapByDamage},
	{"machine starts in the past", testStartsInThePast},
	{"tail of an empty log", testTailOfEmptyLog},
	{"tail inside a line", testTailInsideALine},
	{"filtered records move the position", testFilteredRecordsMoveThePosition},
	{"headless after a restart", testHeadlessAfterARestart},
	{"short runs", testShortRuns},
	{"short runs that nothing announces", testShortRunsUnannounced},
	{"records that cannot be dated", testRecordsThatCannotBeDated},
	{"equal records that cannot be dated", testEqualRecordsThatCannotBeDated},
	{"times of every form", testTimesOfEveryForm},
	{"stack traces", testTraces},
	{"stack traces over restarts", testTracesOverRestarts},
}

// TestReaders is the conformance suite.
func TestReaders(t *testing.T) {
	for _, r := range readerCases {
		t.Run(r.name, func(t *testing.T) {
			for _, s := range scenarios {
				t.Run(s.name, func(t *testing.T) { s.run(t, r) })
			}
		})
	}
}

// run runs a container whose log the reader can read.
func (r readerCase) run(t *testing.T, e *dockertest.Engine, spec dockertest.Container) *dockertest.Ctr {
	c := r.create(t, e, spec)
	c.Start()
	return c
}

// create is run without the start.
func (r readerCase) create(t *testing.T, e *dockertest.Engine, spec dockertest.Container) *dockertest.Ctr {
	if r.file && spec.Driver == "" {
		spec.LogDir = t.TempDir()
	}
	return e.Create(spec)
}

// agent starts an agent that uses the reader for every container it can.
func (r readerCase) agent(t *testing.T, e *dockertest.Engine, opts map[string]string, tune ...func(*capture.Config)) *agent {
	t.Helper()
	opts = maps.Clone(opts)
	if opts == nil {
		opts = map[string]string{}
	}
	opts["Reader"] = r.name
	if r.file {
		opts["Reader"] = readerAuto // what has no file is read through the API
	}
	fast := func(c *capture.Config) { c.PollMin, c.PollMax = 5*time.Millisecond, 20*time.Millisecond }
	return startAgent(t, e.Host(), opts, append(tune, fast)...)
}

// reading waits until the log of c is being read.
func (r readerCase) reading(t *testing.T, a *agent, c *dockertest.Ctr) {
	t.Helper()
	switch r.name {
	case readerFollow:
		// A request may be the look where the capture begins; Age is that of a follow.
		must(t, c.WaitFollowers(testContext(t), 1))
		a.waitFor("the follow of "+c.Name(), func() bool { return a.stream(c.ID).Age > 0 })
		return
	case readerPoll:
		polls := len(c.LogQueries())
		a.waitFor("two polls of "+c.Name(), func() bool { return len(c.LogQueries()) >= polls+2 })
		return
	}
	a.waitFor("the file of "+c.Name(), func() bool {
		return strings.Contains(a.log.String(), `"the log is read from its file" container=`+c.Name())
	})
}

// read waits until what c stored was read, as far as the Engine can tell.
func (r readerCase) read(t *testing.T, c *dockertest.Ctr) {
	t.Helper()
	if r.name == readerFollow {
		must(t, c.WaitSent(testContext(t)))
	}
}
