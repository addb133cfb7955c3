package sinks

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// send makes a request of a body that it compresses, and returns the answer's status.
func send(t *testing.T, s *Sink, method, path, body string) int {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr+path, &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode
}

const line = `{"time":"2026-01-02T03:04:05.000006Z","log":"a b ","stream":"stdout"}` + "\n"

// TestS3: objects come whole or in parts; no Fluent Bit is needed for that.
func TestS3(t *testing.T) {
	s := S3(t)
	for _, request := range [][3]string{
		{http.MethodPut, "/logs/a.gz", line + line}, {http.MethodPost, "/logs/b.gz?uploads", ""},
		{http.MethodPut, "/logs/b.gz?partNumber=2&uploadId=1", line}, {http.MethodPut, "/logs/b.gz?partNumber=1&uploadId=1", strings.Replace(line, "a b ", "first", 1)},
		{http.MethodPost, "/logs/b.gz?uploadId=1", "<CompleteMultipartUpload/>"},
	} {
		if status := send(t, s, request[0], request[1], request[2]); status != http.StatusOK {
			t.Errorf("%v is answered with %d", request, status)
		}
	}
	records, err := s.Records()
	if err != nil || len(records) != 4 || records[2].Fields["log"] != "first" || !records[0].Time.Equal(time.Unix(1767323045, 6000)) {
		t.Errorf("%v, %v", records, err)
	}
	if send(t, s, http.MethodGet, "/logs/a.gz", "") == http.StatusOK {
		t.Error("a read is no write")
	}
}

// TestModes: what is refused is not kept, what is lost is; what is not understood is an error.
func TestModes(t *testing.T) {
	s := HTTP(t)
	for mode, kept := range map[Mode]int{Takes: 1, Refuses: 0, Loses: 1} {
		before, _ := s.Records()
		s.Set(mode)
		if status := send(t, s, http.MethodPost, "/logs", line); (status == http.StatusOK) != (mode == Takes) {
			t.Errorf("mode %d answers %d", mode, status)
		}
		if after, err := s.Records(); err != nil || len(after)-len(before) != kept {
			t.Errorf("mode %d: %d were kept, %v", mode, len(after)-len(before), err)
		}
	}
	if s.Denied() != 2 {
		t.Errorf("%d were denied", s.Denied())
	}
	s.Set(Takes)
	send(t, s, http.MethodPost, "/logs", `{"log":"no time"}`)
	if _, err := s.Records(); err == nil {
		t.Error("a record without a time is none")
	}
}
