// Package debian finds programs that tests and tools use. It installs them by apt where root may.
package debian

import (
	"context"
	_ "embed" // the scripts, which make uses too
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// ErrAbsent says that a program is missing and cannot be installed.
var ErrAbsent = errors.New("not on the PATH, and not installed")

var (
	//go:embed install.sh
	install string
	//go:embed fluent-bit.sh
	fluentBit string
)

var mu sync.Mutex // who comes second finds what the first installed

// Program returns the path of a program. Debian's package pkg is installed where it is missing. The error wraps
// [ErrAbsent] where that cannot be; it names the program.
func Program(ctx context.Context, name, pkg string) (string, error) {
	mu.Lock()
	defer mu.Unlock()
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	fmt.Fprintf(os.Stderr, "%s is missing\n", name)
	if out, err := exec.CommandContext(ctx, "sh", "-c", install, "install.sh", pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w: %w\n%s", name, ErrAbsent, err, out)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w: it is not in Debian's %s", name, ErrAbsent, pkg)
	}
	return path, nil
}

// FluentBit returns the path of this machine's Fluent Bit. ok is false where there is none.
func FluentBit() (path string, ok bool) {
	out, err := exec.Command("sh", "-c", fluentBit).Output()
	return strings.TrimSpace(string(out)), err == nil
}
