package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// mixed writes lines of all kinds and lengths, drawn from a seed, and puts each into a journal before it is written: what a
// std stream of all runs of a container was given, whatever becomes of the container.
//
// The journal of a std stream is the file of its name in dir, an entry a line: its length as 4 bytes, big endian, and the
// line without its end. STD.done beside it counts in 8 bytes the lines that were written whole, of all runs.
type mixed struct {
	kinds   []string
	seed    uint64
	journal string
	lines   int     // of this run and std stream
	rate    float64 // lines a second
	burst   int     // lines that come at once
	unended bool    // the last line has no end
	crash   bool    // the exit status is crashStatus
}

// borders are lengths at which the Engine or a reader cuts.
var borders = []int{0, 16, 100, 8_192, 16_384, 2 * 16_384, 5 * 16_384, 100_000}

// run writes to each of outs.
func (m *mixed) run(outs []*os.File) error {
	errs := make([]error, len(outs))
	var wg sync.WaitGroup
	for i, out := range outs {
		wg.Go(func() { errs[i] = m.write(out, []string{"stdout", "stderr"}[out.Fd()-1]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if m.crash {
		os.Exit(crashStatus)
	}
	return nil
}

func (m *mixed) write(out io.Writer, std string) error {
	j, err := openJournal(m.journal, std)
	if err != nil {
		return err
	}
	defer j.close()
	// A run goes on with other lines than the one before.
	r := rand.New(rand.NewPCG(m.seed, uint64(len(std))<<32+uint64(j.begun)))
	begin := time.Now()
	for i := range m.lines {
		line := m.line(r, std, j.begun)
		if err := j.begin(line); err != nil {
			return err
		}
		if i < m.lines-1 || !m.unended {
			line = append(line, '\n')
		}
		// Some come in two writes, as from a program that buffers.
		if cut := len(line) / 2; cut > 0 && r.IntN(20) == 0 {
			if _, err := out.Write(line[:cut]); err != nil {
				return err
			}
			line = line[cut:]
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		if err := j.end(); err != nil {
			return err
		}
		if m.rate > 0 && (i+1)%max(1, m.burst) == 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(float64(i+1) / m.rate * float64(time.Second)))))
		}
	}
	return nil
}

// line draws a line without its end.
func (m *mixed) line(r *rand.Rand, std string, n int) []byte {
	head := fmt.Sprintf("%s %d ", std, n)
	kind := m.kinds[r.IntN(len(m.kinds))]
	switch kind {
	case "empty":
		return nil
	case "same":
		return []byte("the same line again")
	case "json":
		return fmt.Appendf(nil, `{"n":%d,"log":"\"\u0000<>&","stream":"%s","time":"2006-01-02T15:04:05.000000000Z"}`, n, std)
	}
	size := 20 + r.IntN(200)
	if kind == "border" {
		size = max(0, borders[r.IntN(len(borders))]+r.IntN(9)-4)
	}
	fill := map[string]string{"utf8": "日本é\x01\t\" ", "invalid": "a\xff\xe6\x97b\xc3 "}[kind]
	if fill == "" {
		fill = "The quick brown fox jumps over the lazy dog <&> \\ \" "
	}
	line := append(make([]byte, 0, size+len(head)+1), head...)
	if len(line) < size {
		line = append(line, strings.Repeat(fill, (size-len(line))/len(fill)+1)...)[:size]
	}
	return line
}

// journal is what a std stream was given.
type journal struct {
	lines, done *os.File
	begun       int // lines, of all runs
	ended       uint64
}

func openJournal(dir, std string) (*journal, error) {
	j := &journal{}
	var err error
	if j.lines, err = os.OpenFile(filepath.Join(dir, std), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	if j.done, err = os.OpenFile(filepath.Join(dir, std+".done"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(j.lines)
	if err != nil {
		return nil, err
	}
	whole := 0
	for len(b)-whole >= 4 {
		next := whole + 4 + int(binary.BigEndian.Uint32(b[whole:]))
		if next > len(b) {
			break // the run before was killed while it wrote this entry, and so before it wrote the line
		}
		whole = next
		j.begun++
	}
	if err := j.lines.Truncate(int64(whole)); err != nil {
		return nil, err
	}
	if _, err := j.lines.Seek(int64(whole), io.SeekStart); err != nil {
		return nil, err
	}
	var n [8]byte
	if _, err := j.done.ReadAt(n[:], 0); err == nil {
		j.ended = binary.BigEndian.Uint64(n[:])
	}
	return j, nil
}

// begin enters a line before it is written.
func (j *journal) begin(line []byte) error {
	entry := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(line)), uint32(len(line)))
	_, err := j.lines.Write(append(entry, line...))
	j.begun++
	return err
}

// end enters that it was written whole.
func (j *journal) end() error {
	j.ended++
	_, err := j.done.WriteAt(binary.BigEndian.AppendUint64(nil, j.ended), 0)
	return err
}

func (j *journal) close() {
	_ = j.lines.Close()
	_ = j.done.Close()
}
