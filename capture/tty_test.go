package capture_test

import (
	"fmt"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/enginetest"
)

// A container that writes text without an end and is started again at once, in
// a loop: each text is a line of its own, once, whatever was known of the
// container when its log was opened.
func TestTTYQuickRestarts(t *testing.T) {
	for _, r := range readerCases {
		t.Run(r.name, func(t *testing.T) {
			e := dockertest.Start(t)
			a := r.agent(t, e, nil)
			a.connected()
			c := r.run(t, e, dockertest.Container{Name: "web", TTY: true})
			r.reading(t, a, c)
			var want []string
			for i := range 40 {
				text := fmt.Sprintf("run %d says 2026-11-23T14:05:09.000000001Z hello", i)
				want = append(want, text)
				c.Write(dockertest.Stdout, []byte(text))
				c.Die(1)
				if i%8 == 0 { // else several runs may pass between two looks
					a.waitTexts(c.ID, "", len(want))
				}
				c.Start()
			}
			c.Stdout("end")
			want = append(want, "end")
			a.waitTexts(c.ID, "", len(want))
			checkSequence(t, "lines", want, a.texts(c.ID, ""))
			if gaps := a.col.Totals().Gaps; gaps != 0 {
				t.Errorf("%v gaps", gaps)
			}
		})
	}
}

// The same on real Engines, by their own restart policy.
func TestEngineTTYQuickRestarts(t *testing.T) {
	const runs = 8
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, reader := range []string{readerFollow, readerPoll} {
			t.Run(reader, func(t *testing.T) {
				name := fmt.Sprintf("tty-%d", time.Now().UnixNano())
				a := startAgent(t, e.Host, only(name, map[string]string{"Reader": reader, "Poll_Min": "100ms", "Poll_Max": "500ms"}))
				a.connected()
				c := e.Run(t, enginetest.Options{Name: name, TTY: true, Retries: runs - 1,
					Args: []string{"-lines", "1", "-exit-without-newline", "-crash-after", "1"}})
				a.waitTexts(c.ID, "", runs)
				for i, text := range a.texts(c.ID, "") {
					if text != "run stdout 1 " {
						t.Errorf("line %d is %q", i, text)
					}
				}
				if gaps := a.col.Totals().Gaps; gaps != 0 {
					t.Errorf("%v gaps", gaps)
				}
				if n := len(a.texts(c.ID, "")); n != runs {
					t.Errorf("%d lines of %d", n, runs)
				}
			})
		}
	})
}

// Long lines of a TTY, with the local driver too, whose records of Engine 20.10
// lack newlines.
func TestEngineTTYLongLines(t *testing.T) {
	const lines = 40
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, reader := range []string{readerFollow, readerPoll} {
			t.Run(reader, func(t *testing.T) {
				name := fmt.Sprintf("tty-%d", time.Now().UnixNano())
				a := startAgent(t, e.Host, only(name, map[string]string{"Reader": reader, "Poll_Min": "100ms", "Poll_Max": "500ms"}))
				a.connected()
				c := e.Run(t, enginetest.Options{Name: name, TTY: true, LogDriver: "local",
					Args: []string{"-lines", fmt.Sprint(lines), "-long", "40000", "-every", "4", "-rate", "40", "-size", "60", "-hold"}})
				a.waitTexts(c.ID, "", lines)
				texts := a.texts(c.ID, "")
				numbered(t, "stdout", lines, texts)
				for i, text := range texts {
					if n := len(text); n != 60 && n != 40000 {
						t.Errorf("line %d has %d bytes", i, n)
					}
				}
			})
		}
	})
}
