package soak

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/docker/plot"
)

// Progress tells a person how a run goes. Each checkpoint is a line, and on a terminal there is one below that moves.
type Progress struct {
	w    io.Writer
	live bool
	head bool // the table's head was written
}

// NewProgress writes to w; to a terminal in a livelier way.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{w: w}
	if f, ok := w.(*os.File); ok {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.live = err == nil
	}
	return p
}

// Say writes a line of text.
func (p *Progress) Say(format string, args ...any) {
	p.erase()
	fmt.Fprintf(p.w, "soak: "+format+"\n", args...)
}

func (p *Progress) erase() {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// columns is the table: the head and the width of each.
var columns = []struct {
	head  string
	width int
}{{"time", 6}, {"goroutines", 13}, {"FDs", 11}, {"threads", 8}, {"RSS", 10}, {"rotations", 11}, {"stream age", 11}, {"heartbeat", 10}, {"stalls", 7}, {"lines", 11}, {"missing", 8}, {"doubled", 8}}

// Checkpoint writes a line of the table. base is nil until there is a baseline.
func (p *Progress) Checkpoint(c, base *Checkpoint) {
	p.erase()
	if !p.head {
		p.head = true
		cells := make([]string, len(columns))
		for i, col := range columns {
			cells[i] = col.head
		}
		fmt.Fprintln(p.w, p.dim(row(cells)))
	}
	more := func(of func(*Sample) float64) string {
		text := plot.Format(of(&c.Sample), "")
		if base == nil || base == c {
			return text
		}
		return fmt.Sprintf("%s (%s)", text, signed(c.growth(base, of).Total, ""))
	}
	rotations := "–"
	if base != nil && base != c {
		_, least, most := c.since(base)
		rotations = between(least, most)
	}
	line := row([]string{
		plot.Clock(c.At.Seconds()), more(func(s *Sample) float64 { return s.Goroutines }), more(func(s *Sample) float64 { return s.FDs }),
		plot.Format(c.Threads, ""), plot.Format(c.RSS, "B"), rotations, plot.Format(c.StreamAge, "s"), plot.Format(c.Heartbeat, "s"),
		plot.Format(c.Stalls, ""), plot.Count(c.Lines), plot.Count(c.Missing), plot.Count(c.Doubled),
	})
	switch {
	case c == base:
		line += "  baseline"
	case c.Critical:
		line += "  critical"
	}
	fmt.Fprintln(p.w, line)
}

// between is the least and the most, or what they both are.
func between(least, most float64) string {
	if least == most {
		return fmt.Sprintf("%g", least)
	}
	return fmt.Sprintf("%g–%g", least, most)
}

func row(cells []string) string {
	var b strings.Builder
	for i, c := range cells {
		b.WriteString(strings.Repeat(" ", max(1, columns[i].width-len([]rune(c)))) + c)
	}
	return b.String()
}

func (p *Progress) dim(text string) string {
	if !p.live {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}

// Tick shows the present state on a terminal.
func (p *Progress) Tick(s *soak, x Sample) {
	if !p.live {
		return
	}
	const width = 24
	done := min(width, int(float64(width)*x.At.Seconds()/s.Duration.Seconds()))
	fmt.Fprintf(p.w, "\r\x1b[K%s %s%s %s  %s", plot.Clock(x.At.Seconds()), strings.Repeat("━", done), p.dim(strings.Repeat("━", width-done)), plot.Clock(s.Duration.Seconds()),
		p.dim(fmt.Sprintf("%s lines, lag %s, %d missing, %d doubled", plot.Count(x.Lines), plot.Format(x.Lag, "s"), x.Missing, x.Doubled)))
}

// Verdict writes the judgement.
func (p *Progress) Verdict(r *Result) {
	p.erase()
	fmt.Fprintln(p.w)
	for _, c := range r.Verdict() {
		mark := "ok  "
		if !c.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(p.w, "  %s  %-36s %s\n", p.color(c.OK, mark), c.Name, c.Got)
	}
	fmt.Fprintln(p.w)
}

func (p *Progress) color(ok bool, text string) string {
	if !p.live {
		return text
	}
	return map[bool]string{true: "\x1b[32m", false: "\x1b[31m"}[ok] + text + "\x1b[0m"
}
