package capture_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/status"
)

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what a sync.Pool holds goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// blocked is how many streams wait for room in the outbox.
func (a *agent) blocked() (n int) {
	for _, s := range a.col.View().Streams {
		if s.State == status.Blocked {
			n++
		}
	}
	return n
}

// While Fluent Bit takes nothing, files wait without a buffer each, however
// many have something to read.
func TestBlockedFilesHoldNoMemory(t *testing.T) {
	const n, most = 1000, 16 << 20
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile, "Buffer_Limit": "1M", "FD_Limit": "9000", "FD_Warn": "8000", "Rotate_Interval": "1h"})
	a.connected()
	dir := t.TempDir()
	big := e.Run(dockertest.Container{Name: "big", LogDir: dir})
	cs := make([]*dockertest.Ctr, n)
	for i := range cs {
		cs[i] = e.Run(dockertest.Container{Name: fmt.Sprint("c", i), LogDir: dir})
		cs[i].Stdout("first")
	}
	a.waitRecords(n)
	before := heap()
	a.pause(true)
	long := strings.Repeat("\t", 10000) // escaped, so that it needs scratch
	for range 120 {
		big.Stdout(long)
	}
	a.waitFor("a full outbox", func() bool { o := a.col.View().Outbox; return o.Bytes >= o.Limit })
	for _, c := range cs {
		c.Stdout("second")
	}
	a.waitFor("all streams to wait", func() bool { return a.blocked() >= n })
	if grown := heap() - before - 1<<20; grown > most {
		t.Errorf("%d blocked files hold %d MB", n, grown>>20)
	} else {
		t.Logf("%d blocked files hold %d KB", n, grown>>10)
	}
	a.pause(false)
	a.waitRecords(2*n + 120)
}

// A compressed file that ends before its end has what it holds delivered, and
// counts as damaged.
func TestTornCompressedFile(t *testing.T) {
	e := dockertest.Start(t)
	c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 1 << 20, MaxFile: 3, Compress: true})
	const n = 10000
	c.Flood(dockertest.Stdout, n, func(dst []byte, i int) []byte { return fmt.Appendf(dst, "out %d", i) })
	must(t, c.RotateLog())
	c.Stdout("last")
	zipped := c.LogPath() + ".1.gz"
	for compressed := false; !compressed; { // then the other is removed
		_, err := os.Stat(c.LogPath() + ".1")
		compressed = os.IsNotExist(err)
		runtime.Gosched()
	}
	st, err := os.Stat(zipped)
	must(t, err)
	must(t, os.Truncate(zipped, st.Size()/2))
	a := viaFile.agent(t, e, map[string]string{"Start_From": "beginning"})
	a.wait("the last line", func(rs []got) bool { return len(rs) > 0 && rs[len(rs)-1].Fields["log"] == "last" })
	have := a.texts(c.ID, "")
	checkSequence(t, "lines", append(sequence("out", 0, len(have)-1), "last"), have)
	if len(have) < n/4 || len(have) > n {
		t.Errorf("%d lines of half a file of %d", len(have), n)
	}
	a.waitFor("damage to be counted", func() bool { return a.counted("damaged_records_total") == 1 })
}
