package capture_test

import (
	"testing"
	"testing/synctest"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// TestEmptyAnswerOfARemovedLog: an Engine that has found a container, and has removed it before it opens the log, answers and
// sends nothing. That container was missed.
func TestEmptyAnswerOfARemovedLog(t *testing.T) {
	for _, reader := range []string{readerFollow, readerPoll} {
		t.Run(reader, func(t *testing.T) {
			e := dockertest.Start(t)
			a := startAgent(t, e.Host(), map[string]string{"Reader": reader})
			a.connected()
			short := e.Create(dockertest.Container{Name: "short", AutoRemove: true})
			release := e.Override(dockertest.Logs, short, dockertest.Answer{Hang: true})
			before := e.Requests(dockertest.Logs)
			short.Start()
			a.waitFor("a request for the log", func() bool { return e.Requests(dockertest.Logs) > before })
			short.Stdout("line")
			short.Stop() // which removes it
			release()
			a.waitLog(`its lines, if any, are lost" container=short`)
			a.stop()
			if n := a.counted("missed_containers_total"); n != 1 {
				t.Errorf("%v containers were missed", n)
			}
		})
	}
}

// TestSilentContainersAreNotMissed: one that wrote nothing while its log was open was not missed, nor was one that is still there.
func TestSilentContainersAreNotMissed(t *testing.T) {
	for _, reader := range []string{readerFollow, readerPoll} {
		t.Run(reader, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := dockertest.New(dockertest.InMemory())
				must(t, e.Serve())
				defer e.Close()
				a := startAgent(t, "unix:///simulated", map[string]string{"Metrics_Listen": "off", "Reader": reader}, func(c *capture.Config) { c.SetDial(e.Dial) })
				a.connected()
				removed, kept := e.Run(dockertest.Container{Name: "removed", AutoRemove: true}), e.Run(dockertest.Container{Name: "kept"})
				time.Sleep(time.Minute) // of virtual time
				removed.Stop()
				kept.Stop()
				a.waitFor("their ends", func() bool { return a.running() == 0 })
				kept.Remove()
				time.Sleep(time.Minute)
				a.stop()
				if n := a.counted("missed_containers_total"); n != 0 {
					t.Errorf("%v containers were missed:\n%s", n, a.log)
				}
			})
		})
	}
}
