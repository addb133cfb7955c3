package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/docker/docker/api/types/image"
)

// program is loggen, built once per process.
var program = sync.OnceValues(func() ([]byte, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "loggen")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "loggen")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./docker/loggen")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build loggen: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// Image returns the reference of the loggen image. It is imported where the Engine does not have it. The image holds
// one static program and needs no registry; its tag is a digest of that program.
func (e *Engine) Image(ctx context.Context) (string, error) {
	loggen, err := program()
	if err != nil {
		return "", err
	}
	ref := fmt.Sprintf("docker-logs-loggen:%.12x", sha256.Sum256(loggen))
	if _, err := e.ImageInspect(ctx, ref); err == nil {
		return ref, nil
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "loggen", Mode: 0o755, Size: int64(len(loggen))}); err != nil {
		return "", err
	}
	if _, err := w.Write(loggen); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	answer, err := e.ImageImport(ctx, image.ImportSource{Source: &layer, SourceName: "-"}, ref,
		image.ImportOptions{Changes: []string{`ENTRYPOINT ["/loggen"]`, "LABEL " + Label + "=loggen"}})
	if err != nil {
		return "", fmt.Errorf("import %s: %w", ref, err)
	}
	// The import ends with its answer's end; an error may stand in the answer, so the result is looked at.
	text, err := io.ReadAll(answer)
	_ = answer.Close()
	if err != nil {
		return "", fmt.Errorf("import %s: %w", ref, err)
	}
	if _, err := e.ImageInspect(ctx, ref); err != nil {
		return "", fmt.Errorf("import %s: %w\n%s", ref, err, text)
	}
	return ref, nil
}
