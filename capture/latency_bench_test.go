package capture_test

import (
	"fmt"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
)

// How late a line is, by reader, from the Engine's timestamp to the batch.
func BenchmarkLatency(b *testing.B) {
	for _, e := range enginetest.All(b) {
		for _, reader := range []string{readerFile, readerFollow, readerPoll} {
			b.Run(reader+"/Engine "+e.Version, func(b *testing.B) {
				label := fmt.Sprint(time.Now().UnixNano())
				l := &lateness{}
				_, stop := l.run(b, testConfig(b, e.Host, map[string]string{"Reader": reader, "Include": "label.late=" + label}))
				defer stop()
				for range 5 {
					e.Run(b, enginetest.Options{Labels: map[string]string{"late": label}, Args: []string{"-lines", "1000000", "-rate", "7"}})
				}
				time.Sleep(3 * time.Second)
				l.reset()
				for b.Loop() {
					time.Sleep(20 * time.Second)
				}
				l.report(b, "late", func(string) bool { return true })
			})
		}
	}
}
