package e2e

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// numbered writes n lines to a container of a fake Engine, at a rate per second, and into files.
func numbered(t *testing.T, c *dockertest.Ctr, n, rate int, also ...io.Writer) (written <-chan struct{}) {
	done := make(chan struct{})
	stop := make(chan struct{})
	pad := strings.Repeat("x", 100)
	var block []byte
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i, began := 0, time.Now(); i < n; {
			for due := int(time.Since(began).Seconds() * float64(rate)); i < min(n, due); i++ {
				mark := "line"
				if i%10 == 9 {
					mark = "tenth"
				}
				line := fmt.Sprintf("SEQ=%08d %s %s", i, mark, pad[:i%100])
				c.Stdout(line)
				block = append(append(block, line...), '\n')
			}
			for _, w := range also {
				if _, err := w.Write(block); err != nil {
					t.Error(err)
				}
			}
			block = block[:0]
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	return done
}

var seqInText = regexp.MustCompile(`SEQ=(\d{8})`)

// counted reads how often each line is in the files, less those that a dropping processor keeps back.
func counted(n int, dropped bool, texts ...[]byte) (o outcome) {
	o.of = n
	seen := make([]int, n)
	for _, text := range texts {
		for _, m := range seqInText.FindAllSubmatch(text, -1) {
			i, _ := strconv.Atoi(string(m[1]))
			seen[i]++
		}
	}
	for i, k := range seen {
		switch {
		case k == 0 && (!dropped || i%10 != 9):
			o.missing++
			if o.first == "" {
				o.first = fmt.Sprint("the first that is missing is ", i)
			}
		case k > 1:
			o.doubled += k - 1
		}
	}
	return o
}

// outcome is what came of numbered lines.
type outcome struct {
	missing, doubled, of int
	first                string // that is missing
}

func (o outcome) String() string {
	return fmt.Sprintf("%d missing, %d doubled of %d", o.missing, o.doubled, o.of)
}

// settled waits until every line is there, or nothing has come for long, and says what is.
func settled(t *testing.T, n int, dropped bool, texts func() [][]byte) outcome {
	t.Helper()
	size, changed := -1, time.Now()
	for {
		now, length := texts(), 0
		for _, text := range now {
			length += len(text)
		}
		if length != size {
			size, changed = length, time.Now()
			if o := counted(n, dropped, now...); o.missing == 0 {
				return o
			}
		} else if time.Since(changed) > 20*time.Second {
			return counted(n, dropped, now...)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
