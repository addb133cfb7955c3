package lokitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// matcher is one of a selector's: `name="value"` or `name=~"expression"`.
type matcher struct {
	name  string
	value *regexp.Regexp // of the whole value
}

// parseSelector reads `{a="b",c=~"d.*"}` and returns what stands behind it.
func parseSelector(s string) (matchers []matcher, rest string, err error) {
	s, ok := strings.CutPrefix(s, "{")
	for ok && !strings.HasPrefix(s, "}") {
		name, after, found := strings.Cut(strings.TrimLeft(s, ", "), "=")
		after, isRegexp := strings.CutPrefix(after, "~")
		quoted, err := strconv.QuotedPrefix(after)
		if !found || err != nil {
			return nil, "", fmt.Errorf("selector: parse error at %q", s)
		}
		value, _ := strconv.Unquote(quoted)
		if !isRegexp {
			value = regexp.QuoteMeta(value)
		}
		expression, err := regexp.Compile("^(?s:" + value + ")$")
		if err != nil {
			return nil, "", fmt.Errorf("selector: %w", err)
		}
		matchers = append(matchers, matcher{name, expression})
		s = after[len(quoted):]
	}
	if len(matchers) == 0 {
		return nil, "", fmt.Errorf("selector: parse error at %q", s)
	}
	return matchers, s[1:], nil
}

// matching returns what was taken of the streams that match, in the order in which it came.
func (l *Loki) matching(matchers []matcher) []Entry {
	return slices.DeleteFunc(l.Entries(), func(e Entry) bool {
		return slices.ContainsFunc(matchers, func(m matcher) bool { return !m.value.MatchString(e.Labels[m.name]) })
	})
}

// serveRange answers query_range for a selector alone, oldest first: what is equal in labels, time and text is shown once.
func (l *Loki) serveRange(w http.ResponseWriter, r *http.Request) {
	matchers, rest, err := parseSelector(r.FormValue("query"))
	start, startErr := strconv.ParseInt(r.FormValue("start"), 10, 64)
	end, endErr := strconv.ParseInt(r.FormValue("end"), 10, 64)
	limit, limitErr := strconv.Atoi(r.FormValue("limit"))
	if err != nil || rest != "" || startErr != nil || endErr != nil || limitErr != nil || r.FormValue("direction") != "forward" {
		http.Error(w, fmt.Sprintf("this query is not understood: %s (%v)", r.URL.RawQuery, err), http.StatusBadRequest)
		return
	}
	entries := slices.DeleteFunc(l.matching(matchers), func(e Entry) bool {
		return e.Time.UnixNano() < start || e.Time.UnixNano() >= end
	})
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	type key struct {
		labels, text string
		at           int64
	}
	seen := map[key]bool{}
	type result struct {
		Stream map[string]string `json:"stream"`
		Values [][3]any          `json:"values"`
	}
	results := map[string]*result{}
	shown := []*result{}
	for _, e := range entries {
		k := key{format(e.Labels), e.Text, e.Time.UnixNano()}
		if seen[k] {
			continue
		}
		if len(seen) == limit {
			break
		}
		seen[k] = true
		if results[k.labels] == nil {
			results[k.labels] = &result{Stream: e.Labels}
			shown = append(shown, results[k.labels])
		}
		extra := map[string]any{}
		if len(e.Metadata) > 0 {
			extra["structuredMetadata"] = e.Metadata
		}
		results[k.labels].Values = append(results[k.labels].Values, [3]any{fmt.Sprint(k.at), e.Text, extra})
	}
	answer(w, "streams", shown)
}

var countQuery = regexp.MustCompile(`^sum\(count_over_time\((.*)\[1h\]\)\)$`)

// serveCount answers query for `sum(count_over_time(SELECTOR[1h]))`: all that was taken counts.
func (l *Loki) serveCount(w http.ResponseWriter, r *http.Request) {
	m := countQuery.FindStringSubmatch(r.FormValue("query"))
	if m == nil {
		http.Error(w, "this query is not understood: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	matchers, rest, err := parseSelector(m[1])
	if err != nil || rest != "" {
		http.Error(w, fmt.Sprintf("this query is not understood: %s (%v)", r.URL.RawQuery, err), http.StatusBadRequest)
		return
	}
	now := time.Now()
	n := 0
	for _, e := range l.matching(matchers) {
		if e.Time.After(now.Add(-time.Hour)) && !e.Time.After(now) {
			n++
		}
	}
	results := []map[string]any{}
	if n > 0 {
		results = append(results, map[string]any{"metric": map[string]string{}, "value": [2]any{now.Unix(), strconv.Itoa(n)}})
	}
	answer(w, "vector", results)
}

func answer(w http.ResponseWriter, kind string, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": result}})
}
