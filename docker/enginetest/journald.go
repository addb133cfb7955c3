package enginetest

import (
	"context"
	"errors"
	"fmt"
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

// Journald is StartJournald for a test. It is skipped where there is none, with what is missing.
func Journald(t testing.TB) {
	t.Helper()
	stop, err := StartJournald(t.Context())
	switch {
	case errors.Is(err, ErrNoJournald):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

// ErrNoJournald says that this machine has none, and cannot start one.
var ErrNoJournald = errors.New("no journald can be started here (Debian: systemd)")

// StartJournald makes sure that a journald takes logs of containers. It is the one of this machine, else one that is
// started here. Whoever else calls it waits until stop is called, or their ctx is done: a machine has one journald. The
// error is [ErrNoJournald] where none can be had.
func StartJournald(ctx context.Context) (stop func(), err error) {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "docker-logs-journald.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	unlock := func() { _ = lock.Close() }
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if ctx.Err() != nil || !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			unlock()
			return nil, errors.Join(err, context.Cause(ctx))
		}
		<-time.After(50 * time.Millisecond)
	}
	if journalAnswers() {
		return unlock, nil
	}
	journald, err := startJournald()
	if err != nil {
		unlock()
		return nil, fmt.Errorf("%w: %w", ErrNoJournald, err)
	}
	stop = func() {
		_ = journald.Process.Kill()
		_ = journald.Wait()
		_ = os.Remove(journalSocket)
		unlock()
	}
	for end := time.Now().Add(limit); !journalAnswers(); {
		if ctx.Err() != nil || time.Now().After(end) {
			stop()
			return nil, errors.New("the journald that was started does not answer")
		}
		<-time.After(10 * time.Millisecond)
	}
	return stop, nil
}

func startJournald() (*exec.Cmd, error) {
	for _, dir := range []string{"/run/systemd/journal", "/run/log/journal"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	journald := exec.Command("/lib/systemd/systemd-journald")
	return journald, journald.Start()
}

func journalAnswers() bool {
	c, err := net.Dial("unixgram", journalSocket)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
