package sinks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"testing"
	"time"
)

// SplunkToken is what Splunk wants to hear.
const SplunkToken = "f00d"

// Splunk runs an HTTP Event Collector. It takes JSON objects behind each other, each with a record as its event.
func Splunk(t testing.TB) *Sink {
	return serve(t, func(_ *Sink, r *http.Request, body []byte) (records []Record, answer any, err error) {
		if r.Method != http.MethodPost || r.URL.Path != "/services/collector/event" || r.Header.Get("Authorization") != "Splunk "+SplunkToken {
			return nil, nil, fmt.Errorf("this is POST /services/collector/event with a token")
		}
		for d := json.NewDecoder(bytes.NewReader(body)); ; {
			var e struct {
				Time                     json.Number
				Host, Source, Sourcetype string
				Event                    map[string]any
			}
			if err := d.Decode(&e); errors.Is(err, io.EOF) {
				return records, map[string]any{"text": "Success", "code": 0}, nil
			} else if err != nil {
				return nil, nil, err
			}
			at, ok := new(big.Rat).SetString(e.Time.String())
			if !ok {
				return nil, nil, fmt.Errorf("the time is %q", e.Time)
			}
			nanos, _ := at.Mul(at, big.NewRat(1e9, 1)).Float64()
			record := Record{Time: time.Unix(0, int64(nanos)), Fields: texts(e.Event)}
			if e.Host != record.Fields["host"] || e.Source != record.Fields["container_name"] || e.Sourcetype != "docker:json" {
				return nil, nil, fmt.Errorf("the event is %+v", e)
			}
			records = append(records, record)
		}
	})
}
