package capture_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/testkit"
	"fluent-bit-docker-logs/docker/enginetest"
)

// withStreams runs a Collector with n streams that read from files to which nothing
// is written.
func withStreams(b *testing.B, n int, addr string) *capture.Collector {
	b.Helper()
	host := testkit.FakeEngine(b, "-containers", fmt.Sprint(n), "-active", "0", "-dir", b.TempDir())
	l := &lateness{}
	c, stop := l.run(b, testConfig(b, host, map[string]string{"Metrics_Listen": addr, "Metrics_Per_Container": "all", "Reader": readerFile, "FD_Limit": "90000", "FD_Warn": "80000"}))
	b.Cleanup(stop)
	for open := 0; open < n; time.Sleep(10 * time.Millisecond) {
		open = 0
		for _, s := range c.View().Streams {
			if s.Age > 0 {
				open++
			}
		}
	}
	b.Cleanup(c.Show("docker_logs.0", l.reg))
	return c
}

// dialRaw returns a client that asks for metrics and takes the answer off the
// connection as it comes, so that what it costs is what serving costs.
func dialRaw(b *testing.B, addr, header string) func() {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	request := []byte("GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n")
	answer := make([]byte, 4<<20)
	return func() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(answer[:n], []byte("\r\n0\r\n\r\n")); {
			more, err := conn.Read(answer[n:])
			if n += more; err != nil {
				b.Fatal(err)
			}
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
			b.Fatalf("%.100q", answer)
		}
	}
}

// dialHTTP returns a client that asks for metrics as programs do.
func dialHTTP(b *testing.B, addr string) func() {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	b.Cleanup(client.CloseIdleConnections)
	return func() {
		res, err := client.Get("http://" + addr + "/metrics")
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n < 1000*200 || res.Body.Close() != nil {
			b.Fatal(n, err)
		}
	}
}

// What a scrape of a thousand containers costs: with the client's half, which is in
// the same process, without it, and compressed, as Prometheus asks for it.
func BenchmarkScrape(b *testing.B) {
	addr, err := enginetest.FreeAddr()
	if err != nil {
		b.Fatal(err)
	}
	c := withStreams(b, 1000, addr)
	for _, of := range []struct {
		name string
		dial func(b *testing.B) func()
	}{
		{"quiet", func(b *testing.B) func() { return dialHTTP(b, addr) }},
		{"serving", func(b *testing.B) func() { return dialRaw(b, addr, "") }},
		{"compressed", func(b *testing.B) func() { return dialRaw(b, addr, "Accept-Encoding: gzip\r\n") }},
	} {
		b.Run(of.name, func(b *testing.B) {
			scrape := of.dial(b)
			b.ReportAllocs()
			cpu, n := testkit.OwnCPU(b), 0
			for b.Loop() {
				scrape()
				n++
			}
			b.ReportMetric(float64((testkit.OwnCPU(b)-cpu).Microseconds())/1e3/float64(n), "cpu-ms/op")
		})
	}
	b.Run("busy", func(b *testing.B) { scrapeBusy(b, c, dialHTTP(b, addr)) })
}

// scrapeBusy tells for how long a scrape keeps the lock on the way of a line from a
// stream that wants it all the time.
func scrapeBusy(b *testing.B, c *capture.Collector, scrape func()) {
	stop, waits := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for {
			select {
			case <-stop:
				waits <- all
				return
			default:
			}
			began := time.Now()
			c.Outbox().Lock()
			wait := time.Since(began)
			c.Outbox().Unlock()
			all = append(all, wait)
			time.Sleep(20 * time.Microsecond)
		}
	}()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		scrape()
		n++
	}
	close(stop)
	all := <-waits
	slices.Sort(all)
	long := len(all) - slices.IndexFunc(append(all, time.Hour), func(d time.Duration) bool { return d > 50*time.Microsecond })
	b.ReportMetric(float64(all[len(all)*999/1000].Nanoseconds())/1e3, "wait-p99.9-us")
	b.ReportMetric(float64(long)/float64(n), "waits>50us/op")
}
