package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

type printed []string

func (p *printed) print(level int, line string) { *p = append(*p, fmt.Sprintf("%d %s", level, line)) }

func TestLogFormat(t *testing.T) {
	var got printed
	q := &logQueue{print: got.print, wake: func() {}}
	log := newLogger(q, "docker_logs.0", levelTrace)
	log.Info("plain")
	log.Error("failed", "error", errors.New(`no "such" thing`), "n", 3)
	log.With("container", "web").WithGroup("g").Warn("two\nlines", "k", "v w")
	log.Debug("d")
	log.Log(context.Background(), slog.LevelDebug-4, "t")
	q.flush()
	want := []string{
		`3 [input:docker_logs:docker_logs.0] plain`,
		`1 [input:docker_logs:docker_logs.0] failed error="no \"such\" thing" n=3`,
		`2 [input:docker_logs:docker_logs.0] two\nlines container=web g.k="v w"`,
		`4 [input:docker_logs:docker_logs.0] d`,
		`5 [input:docker_logs:docker_logs.0] t`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLogLevel(t *testing.T) {
	var got printed
	q := &logQueue{print: got.print, wake: func() {}}
	log := newLogger(q, "x", levelWarn)
	log.Info("no")
	log.Warn("yes")
	q.flush()
	if len(got) != 1 || !strings.HasSuffix(got[0], "yes") {
		t.Errorf("printed %q", got)
	}
}

// Fluent Bit cuts long lines, and what a stack ends with says where it began.
func TestLongLinesAreSplit(t *testing.T) {
	var got printed
	q := &logQueue{print: got.print, wake: func() {}}
	log := newLogger(q, "x", levelInfo)
	stack := strings.Repeat("frame\n", 2000)
	log.Error("panic", "stack", stack)
	log.Error("next")
	q.flush()
	whole := ""
	for i, line := range got[:len(got)-1] {
		if len(line) > maxText+len("1 ") {
			t.Errorf("a line of %d bytes", len(line))
		}
		line = strings.TrimPrefix(line, "1 [input:docker_logs:x] ")
		if i > 0 {
			line = strings.TrimPrefix(line, "(continued) ")
		}
		whole += line
	}
	if want := "panic stack=" + strconv.Quote(stack); whole != want || got[len(got)-1] != "1 [input:docker_logs:x] next" {
		t.Errorf("%d bytes in %d lines, want %d", len(whole), len(got), len(want))
	}
}

// Log_Level off is silent.
func TestLogOff(t *testing.T) {
	var got printed
	q := &logQueue{print: got.print, wake: func() {}}
	log := newLogger(q, "x", levelOff)
	log.Error("no")
	if q.flush(); len(got) != 0 {
		t.Errorf("printed %q", got)
	}
}

func TestLogIsBoundedAndSaysSo(t *testing.T) {
	var got printed
	q := &logQueue{print: got.print, wake: func() {}}
	log := newLogger(q, "x", levelInfo)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range maxLines {
				log.Info("line", "a", 1)
			}
		})
	}
	wg.Wait()
	if len(got) != 0 {
		t.Fatal("printed from another goroutine")
	}
	q.flush()
	if len(got) != maxLines+1 || got[maxLines] != fmt.Sprintf("2 [input:docker_logs] %d log lines dropped: too many at once", 3*maxLines) {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
	q.flush()
	if len(got) != maxLines+1 {
		t.Error("drops were said twice")
	}
}
