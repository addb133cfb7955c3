package soak

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"fluent-bit-docker-logs/docker/debian"
)

// pageWidth is that of a screenshot, in pixels.
const pageWidth = 1240

var measured = regexp.MustCompile(`data-height="(\d+)"`)

// Screenshot writes a page as a PNG beside it. It returns the path. The page stands alone, and is rendered in a
// headless Chromium. The error wraps [debian.ErrAbsent] where there is no Chromium.
func Screenshot(ctx context.Context, html string) (png string, err error) {
	chromium, err := debian.Program(ctx, "chromium", "chromium")
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(html)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "page")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// How high the page is only the browser knows; a copy of it says so.
	probe := filepath.Join(dir, "probe.html")
	const tell = "<script>document.documentElement.dataset.height = document.documentElement.scrollHeight</script>"
	if err := os.WriteFile(probe, append(text, tell...), 0o600); err != nil {
		return "", err
	}
	run := func(args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + filepath.Join(dir, "profile")}, args...)
		out, err := exec.CommandContext(ctx, chromium, args...).Output()
		if err != nil {
			return nil, fmt.Errorf("chromium: %w", err)
		}
		return out, nil
	}
	dom, err := run("--dump-dom", fmt.Sprintf("--window-size=%d,100", pageWidth), "file://"+probe)
	if err != nil {
		return "", err
	}
	m := measured.FindSubmatch(dom)
	if m == nil {
		return "", fmt.Errorf("chromium did not render %s", html)
	}
	if html, err = filepath.Abs(html); err != nil {
		return "", err
	}
	png = strings.TrimSuffix(html, ".html") + ".png"
	if _, err := run("--screenshot="+png, fmt.Sprintf("--window-size=%d,%s", pageWidth, m[1]), "file://"+html); err != nil {
		return "", err
	}
	return png, shrink(png)
}
