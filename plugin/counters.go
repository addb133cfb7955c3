package main

import (
	"bytes"
	"strconv"
	"strings"
)

// parseCounters finds the counters of the input called name in Prometheus'
// text format.
func parseCounters(text []byte, name string) (c counters) {
	label := []byte(`name="` + labelEscaper.Replace(name) + `"`)
	var hasRecords, hasBytes bool
	for line := range bytes.Lines(text) {
		line, ok := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte("fluentbit_input_"))
		if !ok {
			continue
		}
		key, labels, ok := bytes.Cut(line, []byte{'{'})
		if !ok {
			continue
		}
		var value *uint64
		var has *bool
		switch string(key) {
		case "records_total":
			value, has = &c.records, &hasRecords
		case "bytes_total":
			value, has = &c.bytes, &hasBytes
		case "ring_buffer_writes_total":
			value, has = &c.writes, &c.hasWrites
		default:
			continue
		}
		if n, ok := parseSample(labels, label); ok {
			*value, *has = n, true
		}
	}
	c.known = hasRecords && hasBytes
	return c
}

// parseSample reads what follows the opening brace of a sample, if it bears
// the label.
func parseSample(labels, label []byte) (uint64, bool) {
	end := bytes.LastIndexByte(labels, ' ')
	at := bytes.Index(labels, label)
	if end < 0 || at < 0 || at > 0 && labels[at-1] != ',' {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(labels[end+1:]), 64)
	return uint64(v), err == nil && v >= 0
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
