package sinks

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
)

// OTLP runs a server that takes logs of OpenTelemetry. They are protobuf over HTTP: the line is the body, all else
// are attributes.
func OTLP(t testing.TB) *Sink {
	return serve(t, func(_ *Sink, r *http.Request, body []byte) (records []Record, answer any, err error) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/logs" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			return nil, nil, fmt.Errorf("this is POST /v1/logs with protobuf, not %s", r.Header.Get("Content-Type"))
		}
		var sent logs.LogsData // as the request is
		if err := proto.Unmarshal(body, &sent); err != nil {
			return nil, nil, err
		}
		for _, resource := range sent.GetResourceLogs() {
			for _, scope := range resource.GetScopeLogs() {
				for _, l := range scope.GetLogRecords() {
					fields := map[string]string{"log": l.GetBody().GetStringValue()}
					for _, a := range l.GetAttributes() {
						fields[a.GetKey()] = a.GetValue().GetStringValue()
					}
					records = append(records, Record{Time: time.Unix(0, int64(l.GetTimeUnixNano())), Fields: fields}) //nolint:gosec // it is of this century
				}
			}
		}
		return records, "", nil
	})
}
