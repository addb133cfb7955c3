package testkit

import (
	"os/exec"
	"testing"
)

// Browser returns what shows a page in a headless Chromium. That returns its output: with --dump-dom the page as it
// has become. Where there is no Chromium the test is skipped, and says what is unseen.
func Browser(t *testing.T, unseen string) (show func(url string, args ...string) string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skipf("no chromium on the PATH: %s", unseen)
	}
	profile := t.TempDir()
	return func(url string, args ...string) string {
		t.Helper()
		args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + profile}, args...)
		out, err := exec.CommandContext(t.Context(), browser, append(args, url)...).Output()
		if err != nil {
			t.Fatalf("chromium: %v", err)
		}
		return string(out)
	}
}
