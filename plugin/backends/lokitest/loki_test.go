package lokitest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/plugin/backends/lokitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// value is an entry of a push: when, text, structured metadata.
type value struct {
	at       time.Time
	text     string
	metadata map[string]string
}

// push sends one stream and returns the status and the text of the answer.
func push(t *testing.T, l *lokitest.Loki, labels map[string]string, values ...value) (int, string) {
	t.Helper()
	var list [][]any
	for _, v := range values {
		one := []any{fmt.Sprint(v.at.UnixNano()), v.text}
		if v.metadata != nil {
			one = append(one, v.metadata)
		}
		list = append(list, one)
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": list}}})
	if err != nil {
		t.Fatal(err)
	}
	return post(t, l, body, "application/json", "")
}

func post(t *testing.T, l *lokitest.Loki, body []byte, kind, encoding string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.URL+"/loki/api/v1/push", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

var web = map[string]string{"job": "docker", "container_name": "web"}

// TestLimits: what is at a limit is taken, what is beyond it is not, with the status and the words of Loki's documentation.
func TestLimits(t *testing.T) {
	now := time.Now()
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("k", i)] = "v"
		}
		return m
	}
	at := func(d time.Duration, text string) value { return value{now.Add(d), text, nil} }
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		limits lokitest.Limits
		labels map[string]string
		values []value
		taken  int
		status int
		says   string
	}{
		"all well":            {lokitest.Defaults(), web, []value{at(0, "a"), at(1, "b")}, 2, 204, ""},
		"no label":            {lokitest.Defaults(), nil, []value{at(0, "a")}, 0, 400, "at least one label pair is required"},
		"labels":              {lokitest.Defaults(), many(15), []value{at(0, "a")}, 1, 204, ""},
		"too many labels":     {lokitest.Defaults(), many(16), []value{at(0, "a")}, 0, 400, "has 16 label names; limit 15"},
		"old":                 {lokitest.Defaults(), web, []value{at(-7*day+time.Minute, "a")}, 1, 204, ""},
		"too old":             {lokitest.Defaults(), web, []value{at(-7*day, "a"), at(0, "b")}, 1, 400, "has timestamp too old"},
		"new":                 {lokitest.Defaults(), web, []value{at(9*time.Minute, "a")}, 1, 204, ""},
		"too new":             {lokitest.Defaults(), web, []value{at(11*time.Minute, "a"), at(0, "b")}, 1, 400, "has timestamp too new"},
		"behind":              {lokitest.Defaults(), web, []value{at(0, "a"), at(-time.Hour, "b")}, 2, 204, ""},
		"too far behind":      {lokitest.Defaults(), web, []value{at(0, "a"), at(-time.Hour-1, "b"), at(1, "c")}, 2, 400, "entry too far behind"},
		"long":                {lokitest.Defaults(), web, []value{at(0, long(256<<10))}, 1, 204, ""},
		"too long":            {lokitest.Defaults(), web, []value{at(0, long(256<<10+1)), at(1, "b")}, 1, 400, "max entry size '262144' bytes exceeded"},
		"metadata":            {lokitest.Defaults(), web, []value{{now, "a", many(128)}}, 1, 204, ""},
		"too many metadata":   {lokitest.Defaults(), web, []value{{now, "a", many(129)}}, 0, 400, "has too many structured metadata labels: '129'"},
		"metadata too large":  {lokitest.Defaults(), web, []value{{now, "a", map[string]string{"k": long(64 << 10)}}}, 0, 400, "has structured metadata too large"},
		"no metadata allowed": {lokitest.Limits{DisallowStructuredMetadata: true}, web, []value{{now, "a", many(1)}, at(1, "b")}, 1, 400, "this feature is disallowed"},
		"too fast":            {lokitest.Limits{IngestionRate: 1, IngestionBurst: 10}, web, []value{at(0, long(6)), at(1, long(5))}, 0, 429, "ingestion rate limit exceeded"},
		"a stream too fast":   {lokitest.Limits{PerStreamRate: 1, PerStreamRateBurst: 10}, web, []value{at(0, long(6)), at(1, long(5))}, 1, 429, "Per stream rate limit exceeded"},
		"no limits":           {lokitest.Limits{}, many(99), []value{at(-99*day, long(1<<20)), at(99*day, "b"), {now, "c", many(999)}}, 3, 204, ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			l := lokitest.Start(t, c.limits)
			status, said := push(t, l, c.labels, c.values...)
			if status != c.status || !strings.Contains(said, c.says) || len(l.Entries()) != c.taken {
				t.Errorf("%d %q, %d entries; want %d %q, %d", status, said, len(l.Entries()), c.status, c.says, c.taken)
			}
			if p := l.Pushes(); len(p) != 1 || p[0].Status != status || p[0].Taken != c.taken {
				t.Errorf("the pushes are %v", p)
			}
		})
	}
}

// TestStreams: beyond the limit of streams a new one is refused for now, those that are there are not.
func TestStreams(t *testing.T) {
	l := lokitest.Start(t, lokitest.Limits{MaxGlobalStreamsPerUser: 1})
	for i, c := range []struct {
		job    string
		status int
	}{{"a", 204}, {"b", 429}, {"a", 204}} {
		if status, said := push(t, l, map[string]string{"job": c.job}, value{time.Now(), "x", nil}); status != c.status {
			t.Errorf("push %d: %d %s", i, status, said)
		}
	}
}

// TestDecide: what is decided of a push comes before the limits, and takes nothing.
func TestDecide(t *testing.T) {
	l := lokitest.Start(t, lokitest.Defaults())
	send := func(text string, want ...int) {
		t.Helper()
		for _, status := range want {
			if got, _ := push(t, l, web, value{time.Now(), text, nil}); got != status {
				t.Errorf("%s is answered with %d, want %d", text, got, status)
			}
		}
	}
	send("a", 204)
	l.Decide(lokitest.InTurn(500, 0, 429))
	send("b", 500, 204, 429, 204)
	l.Decide(lokitest.Always(503))
	send("c", 503, 503)
	l.Decide(func(entries []lokitest.Entry) int { return map[string]int{"d": 401}[entries[0].Text] })
	send("d", 401)
	send("e", 204)
	if n := len(l.Entries()); n != 4 {
		t.Errorf("%d entries", n)
	}
}

// TestBodies: JSON, plain or gzip, is understood; all else is refused for good.
func TestBodies(t *testing.T) {
	good := fmt.Sprintf(`{"streams":[{"stream":{"a":"b"},"values":[["%d","text"]]}]}`, time.Now().UnixNano())
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, good)
	_ = z.Close()
	for _, c := range []struct {
		body, kind, encoding string
		status               int
	}{
		{good, "application/json", "", 204},
		{zipped.String(), "application/json", "gzip", 204},
		{good, "application/json", "gzip", 400},
		{good, "application/json", "snappy", 400},
		{good, "application/x-protobuf", "", 400},
		{"{", "application/json", "", 400},
		{strings.Replace(good, `"text"`, `7`, 1), "application/json", "", 400},
		{strings.Replace(good, `"text"`, `"text",{},{}`, 1), "application/json", "", 400},
		{`{"streams":[{"stream":{"a":"b"},"values":[["now","text"]]}]}`, "application/json", "", 400},
	} {
		l := lokitest.Start(t, lokitest.Defaults())
		if status, said := post(t, l, []byte(c.body), c.kind, c.encoding); status != c.status || len(l.Entries()) != map[int]int{204: 1}[status] {
			t.Errorf("%.80q, %s %s: %d %s", c.body, c.kind, c.encoding, status, said)
		}
	}
}

// TestQueries: lines that are equal in labels, time and text are shown once and counted as often as they came, in the order
// of their times, and not more than the limit.
func TestQueries(t *testing.T) {
	l := lokitest.Start(t, lokitest.Defaults())
	begin := time.Now().Add(-time.Minute)
	for _, i := range []int{1, 0, 1, 2} {
		push(t, l, web, value{begin.Add(time.Duration(i)), fmt.Sprint("line ", i), map[string]string{"id": "x"}})
	}
	push(t, l, map[string]string{"container_name": "other"}, value{begin, "line", nil})
	get := func(path string, query url.Values) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.URL+"/loki/api/v1/"+path+"?"+query.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return do(t, req)
	}
	lines := func(selector string, from time.Time, limit int) (texts []string) {
		_, body := get("query_range", url.Values{"query": {selector}, "start": {fmt.Sprint(from.UnixNano())},
			"end": {fmt.Sprint(time.Now().UnixNano())}, "limit": {fmt.Sprint(limit)}, "direction": {"forward"}})
		var a struct {
			Data struct{ Result []struct{ Values [][3]any } }
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		for _, r := range a.Data.Result {
			for _, v := range r.Values {
				texts = append(texts, v[1].(string))
			}
		}
		return texts
	}
	for _, c := range []struct {
		selector string
		from     time.Time
		limit    int
		want     string
	}{
		{`{container_name="web"}`, begin, 10, "[line 0 line 1 line 2]"},
		{`{container_name="web"}`, begin, 2, "[line 0 line 1]"},
		{`{container_name="web"}`, begin.Add(1), 10, "[line 1 line 2]"},
		{`{container_name=~"w.*", job="docker"}`, begin, 10, "[line 0 line 1 line 2]"},
		{`{container_name=~"we", job="docker"}`, begin, 10, "[]"},
		{`{container_name="w.b"}`, begin, 10, "[]"},
	} {
		if got := fmt.Sprint(lines(c.selector, c.from, c.limit)); got != c.want {
			t.Errorf("%s: %s, want %s", c.selector, got, c.want)
		}
	}
	if _, body := get("query", url.Values{"query": {`sum(count_over_time({container_name=~"w.*"}[1h]))`}}); !strings.Contains(body, `"4"`) {
		t.Errorf("the count is %s", body)
	}
	for _, bad := range []string{"", "{}", "web", `{a="b"} |= "x"`, `{a="b`, `rate({a="b"}[1m])`, `sum(count_over_time({}[1h]))`} {
		for _, path := range []string{"query", "query_range"} {
			query := url.Values{"query": {bad}, "start": {"0"}, "end": {"1"}, "limit": {"1"}, "direction": {"forward"}}
			if status, body := get(path, query); status != http.StatusBadRequest {
				t.Errorf("%s of %q: %d %s", path, bad, status, body)
			}
		}
	}
}
