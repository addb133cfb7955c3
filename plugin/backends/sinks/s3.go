package sinks

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// S3 runs a server that stores objects as S3 does. They are written, whole or in parts, to the bucket logs. It looks
// at no signature. An object is JSON lines, gzip, with their time at the key time.
func S3(t testing.TB) *Sink {
	uploads := map[string]map[int][]byte{} // the parts of each; the tests write one object at a time
	return serve(t, func(_ *Sink, r *http.Request, body []byte) (records []Record, answer any, err error) {
		key, ok := strings.CutPrefix(r.URL.Path, "/logs/")
		if !ok {
			return nil, nil, fmt.Errorf("this is the bucket logs")
		}
		q := r.URL.Query()
		parts, begun := uploads[q.Get("uploadId")]
		switch {
		case r.Method == http.MethodPost && q.Has("uploads"):
			id := strconv.Itoa(len(uploads) + 1)
			uploads[id] = map[int][]byte{}
			return nil, "<InitiateMultipartUploadResult><Bucket>logs</Bucket><Key>" + key + "</Key><UploadId>" + id + "</UploadId></InitiateMultipartUploadResult>", nil
		case r.Method == http.MethodPut && begun:
			n, err := strconv.Atoi(q.Get("partNumber"))
			parts[n] = body
			return nil, "", err
		case r.Method == http.MethodPost && begun:
			for _, n := range slices.Sorted(maps.Keys(parts)) {
				more, err := jsonLines(parts[n], "time")
				if err != nil {
					return nil, nil, err
				}
				records = append(records, more...)
			}
			delete(uploads, q.Get("uploadId"))
			return records, "<CompleteMultipartUploadResult/>", nil
		case r.Method == http.MethodPut && len(q) == 0:
			records, err = jsonLines(body, "time")
			return records, "", err
		}
		return nil, nil, fmt.Errorf("this is no way to write an object")
	})
}
