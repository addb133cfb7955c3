package enginetest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// journalSocket is where the log driver journald sends to.
const journalSocket = "/run/systemd/journal/socket"

// Journald makes sure that a journald takes logs of containers. It is the one of this machine, else one that is
// started for this test. The test is skipped where there is none, with what is missing. Tests of other packages wait
// meanwhile: a machine has one journald.
func Journald(t testing.TB) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "docker-logs-journald.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Close() }) // which unlocks it
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	const program = "/lib/systemd/systemd-journald"
	if journalAnswers() {
		return
	}
	if _, err := os.Stat(program); err != nil {
		t.Skipf("no journald here: %v (Debian: systemd)", err)
	}
	for _, dir := range []string{"/run/systemd/journal", "/run/log/journal"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Skipf("no journald can be started here: %v", err)
		}
	}
	journald := exec.Command(program)
	if err := journald.Start(); err != nil {
		t.Skipf("no journald can be started here: %v", err)
	}
	t.Cleanup(func() {
		_ = journald.Process.Kill()
		_ = journald.Wait()
		_ = os.Remove(journalSocket)
	})
	for end := time.Now().Add(limit); !journalAnswers(); {
		if time.Now().After(end) {
			t.Fatal("the journald that was started does not answer")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func journalAnswers() bool {
	c, err := net.Dial("unixgram", journalSocket)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
