package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"testing"
)

var dayIndex = regexp.MustCompile(`^docker-logs-\d{4}\.\d\d\.\d\d$`)

// OpenSearch runs a server of the bulk API. That is Elasticsearch's too: pairs of lines, an action and a document. A
// document takes the place of one with its id.
func OpenSearch(t testing.TB) *Sink {
	return serve(t, func(s *Sink, r *http.Request, body []byte) (records []Record, answer any, err error) {
		if r.Method != http.MethodPost || r.URL.Path != "/_bulk" {
			return nil, nil, fmt.Errorf("this is POST /_bulk")
		}
		type result struct {
			ID     string `json:"_id"`
			Status int    `json:"status"`
		}
		said := struct {
			Errors bool                `json:"errors"`
			Items  []map[string]result `json:"items"`
		}{}
		lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
		if len(lines)%2 != 0 {
			return nil, nil, fmt.Errorf("%d lines are no pairs", len(lines))
		}
		for i := 0; i < len(lines); i += 2 {
			var action struct {
				Index struct {
					Index string `json:"_index"`
					ID    string `json:"_id"`
					Type  string `json:"_type"`
				}
			}
			if err := json.Unmarshal(lines[i], &action); err != nil {
				return nil, nil, err
			}
			if a := action.Index; !dayIndex.MatchString(a.Index) || a.ID == "" || a.Type != "" {
				return nil, nil, fmt.Errorf("the action is %s", lines[i])
			}
			record, err := parse(lines[i+1], "@timestamp")
			if err != nil {
				return nil, nil, err
			}
			item := result{action.Index.ID, http.StatusCreated}
			if record.id = item.ID; s.known(record.id) {
				item.Status = http.StatusOK
			} else {
				records = append(records, record)
			}
			said.Items = append(said.Items, map[string]result{"index": item})
		}
		return records, said, nil
	})
}
