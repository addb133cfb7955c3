package backends

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/plugin/e2e"
)

// victoriaLogs asks the HTTP API at its address.
type victoriaLogs struct {
	url  string
	http http.Client
}

// pushPath is where it takes what is meant for Loki. A line that is JSON stays a line.
const pushPath = "/insert/loki/api/v1/push?disable_message_parsing=1"

func (v *victoriaLogs) name() string { return "VictoriaLogs" }

func (v *victoriaLogs) count(ctx context.Context, l *load) (int, error) {
	body, err := v.query(ctx, fmt.Sprintf(`{container_name=~%q} | stats count() n`, l.prefix+".*"), l.began)
	if err != nil {
		return 0, err
	}
	var answer struct{ N string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("victorialogs: %w: %.200s", err, body)
	}
	return strconv.Atoi(answer.N)
}

func (v *victoriaLogs) lines(ctx context.Context, l *load, c *enginetest.Container) ([]e2e.Line, error) {
	return l.logLines(c, func(std string) ([]entry, error) {
		body, err := v.query(ctx, fmt.Sprintf(`{container_name=%q,stream=%q}`, c.Name, std), l.began)
		if err != nil {
			return nil, err
		}
		return parseRows(body)
	})
}

// hidden: what it holds twice it gives twice.
func (v *victoriaLogs) hidden(context.Context, *load) (int, error) { return 0, nil }

// query returns the rows that a query of LogsQL finds since from, one JSON object a line, in no order.
func (v *victoriaLogs) query(ctx context.Context, query string, from time.Time) ([]byte, error) {
	form := url.Values{
		"query": {query},
		"start": {from.UTC().Format(time.RFC3339Nano)},
		"end":   {time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339Nano)}, // also what is ahead of its time
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url+"/select/logsql/query", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return ask(&v.http, v.name(), req)
}

// parseRows reads rows and puts them into the order of their times, which is the only one that VictoriaLogs keeps.
func parseRows(body []byte) ([]entry, error) {
	var entries []entry
	for line := range bytes.Lines(body) {
		var row map[string]string
		if err := json.Unmarshal(line, &row); err != nil {
			return nil, fmt.Errorf("victorialogs: %w: %.200s", err, line)
		}
		at, err := time.Parse(time.RFC3339Nano, row["_time"])
		if err != nil {
			return nil, fmt.Errorf("victorialogs: time of %.200s: %w", line, err)
		}
		e := entry{at: at, text: row["_msg"], metadata: row}
		if e.labels, err = parseStream(row["_stream"]); err != nil {
			return nil, fmt.Errorf("victorialogs: %w", err)
		}
		for _, own := range []string{"_time", "_msg", "_stream", "_stream_id"} {
			delete(row, own)
		}
		for label, value := range e.labels {
			if row[label] == value {
				delete(row, label)
			}
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.text, b.text)) })
	return entries, nil
}

// parseStream reads `{name="value",...}`.
func parseStream(text string) (map[string]string, error) {
	labels := map[string]string{}
	rest, ok := strings.CutPrefix(text, "{")
	for ok && rest != "}" {
		name, after, _ := strings.Cut(strings.TrimPrefix(rest, ","), "=")
		quoted, err := strconv.QuotedPrefix(after)
		if err != nil {
			return nil, fmt.Errorf("stream %q: %w", text, err)
		}
		if labels[name], err = strconv.Unquote(quoted); err != nil {
			return nil, fmt.Errorf("stream %q: %w", text, err)
		}
		rest = after[len(quoted):]
	}
	if !ok {
		return nil, fmt.Errorf("stream %q has no labels", text)
	}
	return labels, nil
}
