package say

import (
	"log/slog"
	"sync"
	"time"
)

// Trouble says an error that keeps coming once. Then come a summary now and
// then, and that it is over.
type Trouble struct {
	What string // is being tried, e.g. "reading the log"

	mu    sync.Mutex
	text  string    // guarded by mu
	times int       // guarded by mu
	said  time.Time // guarded by mu
}

// Again is how often an error that keeps coming is summarised.
const Again = 10 * time.Minute

// Report says that an attempt has failed, or counts it.
func (t *Trouble) Report(log *slog.Logger, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := err.Error(); text != t.text {
		t.text, t.times, t.said = text, 0, time.Now()
		log.Warn(t.What+" failed, it is tried again", "error", err)
		return
	}
	t.times++
	if time.Since(t.said) >= Again {
		log.Warn(t.What+" still fails", "error", err, "more_times", t.times)
		t.times, t.said = 0, time.Now()
	}
}

// Over says that the trouble, if there was any, is past.
func (t *Trouble) Over(log *slog.Logger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text != "" {
		log.Info(t.What+" works again", "failed_again", t.times)
		t.text = ""
	}
}

// Forget has the next error said anew.
func (t *Trouble) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = ""
}

// Present says whether the last attempt failed.
func (t *Trouble) Present() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text != ""
}
