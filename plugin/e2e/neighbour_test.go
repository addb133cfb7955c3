package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// withArgs is Fluent Bit with a command line of its own.
type withArgs struct {
	fluentBit
	args []string
}

func (w withArgs) command(_, _ string, _ setup) (*exec.Cmd, error) {
	return exec.Command(w.path, w.args...), nil
}

// TestNeighbour: another Go plugin in the same Fluent Bit goes on recovering from its panics, whichever was loaded first.
func TestNeighbour(t *testing.T) {
	bin := needFluentBit(t)
	neighbour := filepath.Join(t.TempDir(), "neighbour.so")
	if out, err := exec.Command("go", "build", "-buildmode=c-shared", "-o", neighbour, "./testdata/neighbour").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, order := range map[string][]string{
		"ours first":   {"-e", pluginPath, "-e", neighbour},
		"theirs first": {"-e", neighbour, "-e", pluginPath},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(order, "-f", "0.2", "-i", "docker_logs", "-p", "docker_host=unix:///nowhere", "-p", "metrics_listen=off",
				"-i", "dummy", "-o", "neighbour", "-m", "*")
			p := launch(t, withArgs{bin, args}, setup{})
			p.awaitLog(regexp.MustCompile(`neighbour recovered`), 5)
		})
	}
}
