package enginetest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(M{m})
}

// TestLogs proves the oracle itself: what loggen was told to write is what Logs gives, on each Engine.
func TestLogs(t *testing.T) {
	for _, e := range All(t) {
		t.Run(e.Version, func(t *testing.T) {
			t.Run("both", func(t *testing.T) {
				c := e.Run(t, Options{Args: []string{"-std=both", "-lines=2000", "-size=100", "-long=40000", "-every=500"}})
				if status := c.Wait(); status != 0 {
					t.Fatalf("exit status %d", status)
				}
				checkNumbers(t, c.Logs(), "stdout", "stderr")
			})
			t.Run("tty", func(t *testing.T) {
				c := e.Run(t, Options{TTY: true, Args: []string{"-lines=1000", "-size=100", "-long=40000", "-every=100"}})
				c.Wait()
				checkNumbers(t, c.Logs(), "stdout")
			})
			t.Run("exact bytes", func(t *testing.T) {
				text := "no end, \x01 and 日本"
				c := e.Run(t, Options{Args: []string{"-write=stderr:" + base64.StdEncoding.EncodeToString([]byte("\n"+text))}})
				c.Wait()
				lines := c.Logs()
				if len(lines) != 2 || lines[0].Text != "" || lines[1].Text != text || lines[1].Std != "stderr" || lines[1].Time.IsZero() {
					t.Errorf("got %+v", lines)
				}
			})
			t.Run("crash", func(t *testing.T) {
				c := e.Run(t, Options{Args: []string{"-lines=10", "-crash-after=4"}})
				if status, lines := c.Wait(), c.Logs(); status != 3 || len(lines) != 4 {
					t.Errorf("status %d, lines %d", status, len(lines))
				}
			})
			t.Run("hold and stop", func(t *testing.T) {
				c := e.Run(t, Options{Args: []string{"-lines=1", "-hold"}})
				written := func(n int) { // and so it heeds signals, as process 1 does not before it asks for them
					for end := time.Now().Add(limit); len(c.Logs()) < n; time.Sleep(10 * time.Millisecond) {
						if time.Now().After(end) {
							t.Fatalf("%d lines did not come", n)
						}
					}
				}
				written(1)
				c.Restart()
				written(2)
				c.Stop()
				if status := c.Wait(); status != 0 {
					t.Errorf("status %d", status)
				}
			})
		})
	}
}

// checkNumbers wants the sequence numbers of each std to be 1, 2, 3 ... and the lines of the length that was asked for.
func checkNumbers(t *testing.T, lines []Line, stds ...string) {
	t.Helper()
	next := map[string]int{}
	for _, l := range lines {
		next[l.Std]++
		if want := fmt.Sprintf("run %s %d ", l.Std, next[l.Std]); !strings.HasPrefix(l.Text, want) {
			t.Fatalf("%s: got %.40q, want %q", l.Std, l.Text, want)
		}
		if n := len(l.Text); n != 100 && n != 40000 {
			t.Fatalf("%s %d: length %d", l.Std, next[l.Std], n)
		}
	}
	if len(next) != len(stds) {
		t.Fatalf("streams %v, want %v", next, stds)
	}
	for _, std := range stds {
		if n := next[std]; n != 2000 && n != 1000 {
			t.Errorf("%s: %d lines", std, n)
		}
	}
}
