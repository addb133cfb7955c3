package main

import "testing"

func TestParseCounters(t *testing.T) {
	const text = "# HELP fluentbit_input_records_total Number of input records.\n" +
		"# TYPE fluentbit_input_records_total counter\n" +
		"fluentbit_input_bytes_total{name=\"a\"} 1\n" +
		"fluentbit_input_bytes_total{name=\"ab\"} 20\n" +
		"fluentbit_input_records_total{name=\"ab\"} 2\n" +
		"fluentbit_input_records_total{name=\"a\"} 12345678901\n" +
		"fluentbit_input_records_total{host=\"h 1\",name=\"q\\\"} x\"} 4\n" +
		"fluentbit_input_bytes_total{host=\"h 1\",name=\"q\\\"} x\"} 5\n" +
		"fluentbit_input_ring_buffer_writes_total{name=\"ab\"} 3\n" +
		"fluentbit_input_records_total{nickname=\"z\"} 5\n" +
		"fluentbit_input_records_total{name=\"big\"} 1.0000000000000000e+17\n" +
		"fluentbit_input_bytes_total{name=\"big\"} 6\n" +
		"fluentbit_input_records_total{name=\"bad\"} ?\n" +
		"fluentbit_input_bytes_total{name=\"bad\"} 7\n" +
		"fluentbit_input_records_total{name=\"half\"} 7\n" +
		"fluentbit_input_records_total{name=\"torn\"}"
	for name, want := range map[string]counters{
		"ab":    {records: 2, bytes: 20, writes: 3, known: true, hasWrites: true},
		"a":     {records: 12345678901, bytes: 1, known: true},
		`q"} x`: {records: 4, bytes: 5, known: true},
		"big":   {records: 1e17, bytes: 6, known: true},
	} {
		if got := parseCounters([]byte(text), name); got != want {
			t.Errorf("%s: %+v; want %+v", name, got, want)
		}
	}
	for _, name := range []string{"", "z", "bad", "torn", "half", "none"} {
		if got := parseCounters([]byte(text), name); got.known {
			t.Errorf("%s: found %+v", name, got)
		}
	}
}
