package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// patienceToBuild is how long a peer may take to be built.
const patienceToBuild = 20 * time.Minute

// built returns a program that is made once, by Go, in a directory of its own outside of this project's module.
func built(ctx context.Context, say Say, name, version string, commands func(ctx context.Context, g *goModule) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "docker-logs-test", "peers", name+"-"+version)
	program := filepath.Join(dir, name)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patienceToBuild, fmt.Errorf("it takes longer than %s", patienceToBuild))
	defer cancel()
	src, err := os.MkdirTemp(dir, "src")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(src) }()
	say("building %s %s into %s (once; minutes)", name, version, dir)
	began := time.Now()
	g := &goModule{dir: src, out: filepath.Join(src, name)}
	if err := commands(ctx, g); err != nil {
		return "", fmt.Errorf("it could not be built: %w", err)
	}
	say("building %s took %s", name, time.Since(began).Round(time.Second))
	return program, os.Rename(g.out, program) // a program that is there is whole
}

// goModule is where a peer is built.
type goModule struct {
	dir string
	out string // the program to be made
}

// run runs go there.
func (g *goModule) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -mod=mod")
	out, err := cmd.CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("go %s: %w: %s", args[0], err, lastLines(string(out), 3))
	}
	return nil
}

// tool makes the program of a package, of the module with that version.
func (g *goModule) tool(ctx context.Context, pkg, version, tags string) error {
	for _, args := range [][]string{{"mod", "init", "peer"}, {"get", pkg + "@" + version}, {"build", "-trimpath", "-ldflags=-s -w", "-tags", tags, "-o", g.out, pkg}} {
		if err := g.run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// lastLines are the last n of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " / ")
}
