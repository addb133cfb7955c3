package dockertest

import (
	"os"
	"sync"
	"syscall"
	"testing"
)

// AsNobody makes the whole process an ordinary user.
// It is one until restore is called or the test is over, so that a socket's permissions hold up root too: the one of [Start] then cannot be
// reached at all. Without root it does nothing.
func AsNobody(t testing.TB) (restore func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		return func() {}
	}
	const keep, nobody = -1, 65534
	if err := syscall.Setresuid(keep, nobody, keep); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := syscall.Setresuid(keep, 0, keep); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	return restore
}
