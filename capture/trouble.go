package capture

import (
	"log/slog"
	"sync"
	"time"
)

// trouble says an error that keeps coming once, then a summary now and then,
// and that it is over.
type trouble struct {
	what string // is being tried, e.g. "reading the log"

	mu    sync.Mutex
	text  string    // guarded by mu
	times int       // guarded by mu
	said  time.Time // guarded by mu
}

// sayAgain is how often an error that keeps coming is summarised.
const sayAgain = 10 * time.Minute

func (t *trouble) report(log *slog.Logger, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := err.Error(); text != t.text {
		t.text, t.times, t.said = text, 0, time.Now()
		log.Warn(t.what+" failed, it is tried again", "error", err)
		return
	}
	t.times++
	if time.Since(t.said) >= sayAgain {
		log.Warn(t.what+" still fails", "error", err, "more_times", t.times)
		t.times, t.said = 0, time.Now()
	}
}

// over says that the trouble, if there was any, is past.
func (t *trouble) over(log *slog.Logger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text != "" {
		log.Info(t.what+" works again", "failed_again", t.times)
		t.text = ""
	}
}

// forget has the next error said anew.
func (t *trouble) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = ""
}
