package capture

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// written is what a container wrote, by std stream.
type written struct {
	c     *dockertest.Ctr
	spec  planContainer
	lines [3][]string
	part  [3]string // the unterminated end
	n     int
	lossy loss
	// damaged: its log's file has places that hold no record.
	damaged bool
	came    [3][]string
	// fragments came with the flag that a part of the line is missing.
	fragments [3][]string
}

// std is the std stream that a write to std ends in.
func (x *written) std(std int) int {
	if x.spec.TTY {
		return stdout
	}
	return std
}

// write writes the lines of a step.
func (x *written) write(s step) {
	std, end := x.std(s.Std), "\n"
	if x.spec.TTY {
		end = "\r\n"
	}
	for range s.N {
		x.n++
		line := makeLine(s, x.n)
		if !x.c.Write(dockertest.Std(std), []byte(line+end)) {
			return // it does not run
		}
		x.lines[std] = append(x.lines[std], x.part[std]+line)
		x.part[std] = ""
		time.Sleep(time.Duration(s.For) * time.Millisecond)
	}
}

// writePart writes the beginning of a line.
func (x *written) writePart(s step) {
	std := x.std(s.Std)
	x.n++
	part := makeLine(step{Size: s.Size, Kind: "numbered"}, x.n)
	if x.spec.TTY && len(x.part[std])+len(part) > chunkSize {
		return // nothing tells the next record from the text of such a line that has no end
	}
	if x.c.Write(dockertest.Std(std), []byte(part)) {
		x.part[std] += part
	}
}

// end has a run end, and with it the unterminated lines.
func (x *written) end(how func()) {
	x.finish()
	how()
}

func (x *written) finish() {
	for std := range x.part {
		if x.part[std] != "" {
			x.lines[std] = append(x.lines[std], x.part[std])
			x.part[std] = ""
		}
	}
}

func makeLine(s step, n int) string {
	head := strconv.Itoa(n) + " "
	switch s.Kind {
	case "empty":
		return ""
	case "same":
		head = "same "
	case "json":
		return fmt.Sprintf(`{"n":%d,"log":"\"\u0000<>&","stream":"stdout","time":"2006-01-02T15:04:05.000000000Z"}`, n)
	case "utf8":
		return head + strings.Repeat("日本é\x01\t\"", s.Size/12)
	}
	if s.Size <= len(head) {
		return head
	}
	return head + strings.Repeat("x", s.Size-len(head))
}

// stored is what the log driver makes of the lines: json-file replaces each byte
// that is no UTF-8, also where it cuts a long line inside of a character.
func (x *written) stored(std int) []string {
	if x.spec.Driver != "" {
		return x.lines[std]
	}
	all := make([]string, len(x.lines[std]))
	for i, line := range x.lines[std] {
		for from := 0; from < len(line); from += chunkSize {
			all[i] += string([]rune(line[from:min(from+chunkSize, len(line))]))
		}
	}
	return all
}
