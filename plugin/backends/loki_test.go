package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/plugin/e2e"
)

// loki asks the HTTP API at its address.
type loki struct {
	url  string
	http http.Client
}

// pageSize is the most entries that Loki gives in one answer (max_entries_limit_per_query).
const pageSize = 5000

// entries returns what Loki has of one of its streams since from, in Loki's order.
func (l *loki) entries(ctx context.Context, selector string, from time.Time) ([]entry, error) {
	var all []entry
	for {
		page, err := l.page(ctx, selector, from)
		if err != nil {
			return nil, err
		}
		fresh := page[min(overlap(all, from), len(page)):]
		all = append(all, fresh...)
		if len(page) < pageSize {
			return all, nil
		}
		if len(fresh) == 0 {
			return nil, fmt.Errorf("loki: more than %d entries of %s at %v", pageSize, selector, from)
		}
		from = all[len(all)-1].at
	}
}

// overlap is how many entries at the end of all have the time at: a page that begins there gives them again.
func overlap(all []entry, at time.Time) int {
	n := 0
	for n < len(all) && all[len(all)-1-n].at.Equal(at) {
		n++
	}
	return n
}

func (l *loki) page(ctx context.Context, selector string, from time.Time) ([]entry, error) {
	body, err := l.get(ctx, "query_range", url.Values{
		"query":     {selector},
		"start":     {strconv.FormatInt(from.UnixNano(), 10)},
		"end":       {strconv.FormatInt(time.Now().Add(time.Minute).UnixNano(), 10)},
		"limit":     {strconv.Itoa(pageSize)},
		"direction": {"forward"},
	})
	if err != nil {
		return nil, err
	}
	return parseEntries(body)
}

func (l *loki) name() string { return "Loki" }

// count is of the last hour. An entry that Loki was sent twice is counted once or twice, as it comes.
func (l *loki) count(ctx context.Context, of *load) (int, error) {
	body, err := l.get(ctx, "query", url.Values{"query": {fmt.Sprintf("sum(count_over_time({container_name=~%q}[1h]))", of.prefix+".*")}})
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("loki: %w", err)
	}
	if len(answer.Data.Result) == 0 {
		return 0, nil
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	return strconv.Atoi(text)
}

func (l *loki) lines(ctx context.Context, of *load, c *enginetest.Container) ([]e2e.Line, error) {
	return of.logLines(c, func(std string) ([]entry, error) {
		entries, err := l.entries(ctx, fmt.Sprintf(`{container_name=%q,stream=%q}`, c.Name, std), of.began)
		for _, e := range entries {
			// These two are Loki's own guesses.
			delete(e.labels, "service_name")
			delete(e.metadata, "detected_level")
		}
		return entries, err
	})
}

// hidden: a query of lines gives one of two entries that are equal in labels, time and text, a query of numbers counts both.
func (l *loki) hidden(ctx context.Context, of *load) (int, error) {
	stored, err := l.count(ctx, of)
	return max(0, stored-of.total), err
}

func (l *loki) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/loki/api/v1/"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	// Else structured metadata is mixed into the labels of the stream.
	req.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	return ask(&l.http, l.name(), req)
}

// parseEntries reads the answer of query_range about one stream, or none.
func parseEntries(body []byte) ([]entry, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][3]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("loki: %w", err)
	}
	if n := len(answer.Data.Result); n > 1 {
		return nil, fmt.Errorf("loki: %d streams where one was asked for: %v, %v", n, answer.Data.Result[0].Stream, answer.Data.Result[1].Stream)
	}
	var entries []entry
	for _, stream := range answer.Data.Result {
		for _, v := range stream.Values {
			e := entry{labels: stream.Stream}
			var nanos string
			var extra struct{ StructuredMetadata map[string]string }
			for i, into := range []any{&nanos, &e.text, &extra} {
				if err := json.Unmarshal(v[i], into); err != nil {
					return nil, fmt.Errorf("loki: value %s: %w", v, err)
				}
			}
			ns, err := strconv.ParseInt(nanos, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("loki: time of %s: %w", v, err)
			}
			e.at, e.metadata = time.Unix(0, ns), extra.StructuredMetadata
			entries = append(entries, e)
		}
	}
	return entries, nil
}
