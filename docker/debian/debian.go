// Package debian finds programs that tests and tools use, and installs them by apt where root may.
package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// ErrAbsent says that a program is not there and cannot be installed here.
var ErrAbsent = errors.New("not on the PATH, and not to be installed here (that takes root and apt-get)")

var mu sync.Mutex // apt runs once at a time

// Program returns the path of a program, of which Debian's package pkg is installed where it is missing. The error wraps
// [ErrAbsent] where that cannot be; it names the program.
func Program(ctx context.Context, name, pkg string) (string, error) {
	mu.Lock()
	defer mu.Unlock()
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return "", fmt.Errorf("%s: %w", name, ErrAbsent)
	}
	fmt.Fprintf(os.Stderr, "installing Debian's %s (about a minute)\n", pkg)
	for _, args := range [][]string{
		{"update", "-qq"},
		{"install", "-qq", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", pkg},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		// RUNLEVEL=1 keeps a machine without systemd from starting a service that comes with the package.
		cmd.Env = append(os.Environ(), "RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: apt-get %s: %w\n%s", name, ErrAbsent, args[0], err, out)
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w: it is not in Debian's %s", name, ErrAbsent, pkg)
	}
	return path, nil
}
