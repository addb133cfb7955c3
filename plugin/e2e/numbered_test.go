package e2e

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// numbered writes n lines to a container of a fake Engine, at a rate per second, and into files.
func numbered(t *testing.T, c *dockertest.Ctr, n, rate int, also ...io.Writer) (written <-chan struct{}) {
	return numberedFrom(t, c, 0, n, rate, also...)
}

// numberedFrom is numbered for the lines from one number on and before another.
func numberedFrom(t *testing.T, c *dockertest.Ctr, from, n, rate int, also ...io.Writer) (written <-chan struct{}) {
	done := make(chan struct{})
	stop := make(chan struct{})
	pad := strings.Repeat("x", 100)
	var block []byte
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i, began := from, time.Now(); i < n; {
			for due := from + int(time.Since(began).Seconds()*float64(rate)); i < min(n, due); i++ {
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

// counted reads how often each line is in the texts, less those that a dropping processor keeps back.
func counted(n int, dropped bool, texts ...[]byte) (o outcome) {
	o.of = n
	seen := make([]struct {
		times int
		tag   string // of the run that it came from last, in what the file output writes
	}, n)
	for _, text := range texts {
		for {
			at := bytes.Index(text, []byte("SEQ="))
			if at < 0 || at+12 > len(text) {
				break
			}
			head := text[bytes.LastIndexByte(text[:at], '\n')+1 : at]
			tag, _, ok := bytes.Cut(head[:min(len(head), 100)], []byte(": ["))
			if !ok {
				tag = nil // another output, which tells no tag
			}
			i, err := strconv.Atoi(string(text[at+4 : at+12]))
			text = text[at+12:]
			if err != nil || i >= n {
				continue // torn by a kill
			}
			line := &seen[i]
			if line.times++; line.times > 1 && line.tag != string(tag) {
				o.again++
			}
			line.tag = string(tag)
		}
	}
	for i, line := range seen {
		switch {
		case line.times == 0 && (!dropped || i%10 != 9):
			o.missing++
			if o.first == "" {
				o.first = fmt.Sprint("the first that is missing is ", i)
			}
		case line.times > 1:
			o.doubled += line.times - 1
		}
	}
	return o
}

// outcome is what came of numbered lines.
type outcome struct {
	missing, doubled, of int
	again                int    // of those doubled, what a later run has read again: the others Fluent Bit sent twice
	first                string // that is missing
}

func (o outcome) String() string {
	return fmt.Sprintf("%d missing, %d doubled (%d read again) of %d", o.missing, o.doubled, o.again, o.of)
}

// settled waits until every line is there, or nothing has come for long, and says what is.
func settled(t *testing.T, n int, dropped bool, texts func() [][]byte) outcome {
	t.Helper()
	size, changed := -1, time.Now()
	for {
		length := 0
		for _, text := range texts() {
			length += len(text)
		}
		if length != size {
			size, changed = length, time.Now()
		} else if o := counted(n, dropped, texts()...); o.missing == 0 || time.Since(changed) > 45*time.Second {
			return o
		}
		time.Sleep(time.Second)
	}
}

// TestCounted: an oracle that sees nothing would pass every other test.
func TestCounted(t *testing.T) {
	file := "docker.1: [17.5, {\"log\":\"SEQ=00000000 a\"}]\ndocker.1: [17.5, {\"log\":\"SEQ=00000002 b\"}]\n" +
		"docker.2: [17.5, {\"log\":\"SEQ=00000002 b\"}]\ndocker.2: [17.5, {\"log\":\"SEQ=00000002 b\"}]\ndocker.2: [17.5, {\"log\":\"SEQ=0000"
	body := `[{"date":1.5,"log":"SEQ=00000003"},{"date":1.5,"log":"SEQ=00000003"}]`
	want := outcome{missing: 3, doubled: 3, of: 6, again: 1, first: "the first that is missing is 1"}
	if got := counted(6, false, []byte(file), []byte(body)); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := counted(4, false, []byte(file)); got.missing != 2 {
		t.Errorf("%+v", got)
	}
	if got := counted(10, true); got.missing != 9 {
		t.Errorf("%d of 10 are missing, the tenth is dropped", got.missing)
	}
}
