package backends

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What the other tests see with is tested here, without backends: a reader that leaves out or repeats would prove anything.

// TestEntries: pages are put together without a hole or a double, also where several entries of one time lie across the end
// of a page.
func TestEntries(t *testing.T) {
	const total = 2*pageSize + 1234
	begin := time.Unix(1700000000, 123456789)
	at := func(i int) time.Time { return begin.Add(time.Duration(i / 7)) } // 7 entries of one time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := strconv.ParseInt(r.FormValue("start"), 10, 64)
		if err != nil || r.FormValue("direction") != "forward" || r.FormValue("query") != "{x}" {
			t.Errorf("asked for %s", r.URL)
		}
		values := [][3]any{}
		for i := 0; i < total && len(values) < pageSize; i++ {
			if ns := at(i).UnixNano(); ns >= from {
				values = append(values, [3]any{fmt.Sprint(ns), fmt.Sprint("line ", i), map[string]any{"structuredMetadata": map[string]string{"id": "c"}}})
			}
		}
		stream := map[string]any{"stream": map[string]string{"job": "docker"}, "values": values}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"result": []any{stream}}})
	}))
	defer server.Close()
	l := &loki{url: server.URL}
	defer l.http.CloseIdleConnections()
	entries, err := l.entries(t.Context(), "{x}", begin)
	if err != nil || len(entries) != total {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for i, e := range entries {
		if e.text != fmt.Sprint("line ", i) || !e.at.Equal(at(i)) || e.labels["job"] != "docker" || e.metadata["id"] != "c" {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
}

// TestParseRows: rows come in the order of their times, and what is neither the stream's nor VictoriaLogs' own is metadata.
func TestParseRows(t *testing.T) {
	entries, err := parseRows([]byte(`{"_time":"2026-01-02T03:04:05.000000043Z","_stream_id":"1","_stream":"{a=\"b\",c=\"d\\\"}, e\"}","_msg":"second","a":"b","c":"d\"}, e","id":"x"}
{"_time":"2026-01-02T03:04:05.000000042Z","_stream_id":"1","_stream":"{a=\"b\"}","_msg":"first","a":"b"}
`))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	first, second := entries[0], entries[1]
	if first.text != "first" || !first.at.Equal(time.Date(2026, 1, 2, 3, 4, 5, 42, time.UTC)) || len(first.labels) != 1 || len(first.metadata) != 0 {
		t.Errorf("the first is %+v", first)
	}
	if second.text != "second" || second.labels["c"] != `d"}, e` || len(second.labels) != 2 || second.metadata["id"] != "x" || len(second.metadata) != 1 {
		t.Errorf("the second is %+v", second)
	}
	for _, bad := range []string{"x", `{"_stream":"{}"}`, `{"_time":"2026-01-02T03:04:05Z"}`, `{"_time":"2026-01-02T03:04:05Z","_stream":"{a=b}"}`} {
		if _, err := parseRows([]byte(bad)); err == nil {
			t.Errorf("%s is a row", bad)
		}
	}
}

// TestParseMessage: the time leaves the fields, to the nanosecond; what is no record is an error.
func TestParseMessage(t *testing.T) {
	m, err := parseMessage(&kgo.Record{Topic: "shop", Key: []byte("id"), Value: []byte(`{"timestamp":"2026-01-02T03:04:05.000000042Z","log":"x"}`)})
	if err != nil || !m.at.Equal(time.Date(2026, 1, 2, 3, 4, 5, 42, time.UTC)) || m.topic != "shop" || m.key != "id" || len(m.fields) != 1 || m.fields["log"] != "x" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, value := range []string{"", "{}", `{"timestamp":"yesterday"}`} {
		if _, err := parseMessage(&kgo.Record{Value: []byte(value)}); err == nil {
			t.Errorf("%q is a message", value)
		}
	}
}

// TestConfigure: the configuration still has what the tests change in it.
func TestConfigure(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "conf", configuration))
	if err != nil {
		t.Fatal(err)
	}
	conf, err := configure(string(text), "/scratch", "unix:///engine", "mine-", setting{"Uri", pushPath, "loki"}, setting{"Flush", "0.2", ""}, setting{"Compress", "", ""})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/scratch/plugins.conf\n", "/scratch/storage\n", "/scratch/positions.json\n", " Docker_Host unix:///engine\n", " Include name=mine-*\n", " Uri /insert/", " Flush                      0.2\n"} {
		if strings.Count(conf, want) != 1 {
			t.Errorf("%q is not once in\n%s", want, conf)
		}
	}
	if strings.Contains(conf, "Compress") {
		t.Errorf("Compress was to be removed from\n%s", conf)
	}
	if _, err := configure("[INPUT]\n    Name docker_logs\n", "/scratch", "", ""); err == nil {
		t.Error("a configuration without places was accepted")
	}
}

// TestThousands: the numbers of the table.
func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: ".", 7: "7", 999: "999", 1000: "1,000", 200000: "200,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
