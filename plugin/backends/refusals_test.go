package backends

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/plugin/backends/lokitest"
)

// What Loki refuses, by its documentation, and what Fluent Bit then does with conf/loki.conf: real but for the Engine, whose
// lines can be of any time, and for Loki, which is lokitest's.

// refusing is Fluent Bit between a fake Engine and a Loki that refuses.
type refusing struct {
	*fluentBit
	engine *dockertest.Engine
	loki   *lokitest.Loki
}

// refuse makes them; start starts Fluent Bit. It delivers and tries again as fast as it can.
func refuse(t *testing.T, limits lokitest.Limits, more ...setting) *refusing {
	t.Helper()
	needs(t)
	t.Parallel()
	l := lokitest.Start(t, limits)
	to, err := lokiTarget(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	e := dockertest.Start(t)
	fast := []setting{{"Flush", "0.2", ""}, {"scheduler.cap", "1", ""}}
	return &refusing{newFluentBit(t, e.Host(), "loki.conf", "", to.env(), append(fast, more...)...), e, l}
}

// container runs one that writes lines.
func (r *refusing) container(name string, lines ...string) *dockertest.Ctr {
	c := r.engine.Run(dockertest.Container{Name: name})
	c.Stdout(lines...)
	return c
}

// taken waits until Loki has taken so many entries and returns them.
func (r *refusing) taken(n int) []lokitest.Entry {
	r.t.Helper()
	return r.await(fmt.Sprint(n, " entries"), func(entries []lokitest.Entry, _ []lokitest.Push) bool { return len(entries) >= n })
}

func (r *refusing) await(what string, ok func([]lokitest.Entry, []lokitest.Push) bool) []lokitest.Entry {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.loki.Await(ctx, ok); err != nil {
		r.t.Fatalf("%s: %v; %d entries were taken, of the pushes\n%v", what, err, len(r.loki.Entries()), r.loki.Pushes())
	}
	return r.loki.Entries()
}

// refused waits for a push that was answered so, and returns the answer's text.
func (r *refusing) refused(status int) (message string) {
	r.t.Helper()
	r.await(fmt.Sprint("a push that is answered with ", status), func(_ []lokitest.Entry, pushes []lokitest.Push) bool {
		for _, p := range pushes {
			if p.Status == status {
				message = p.Message
				return true
			}
		}
		return false
	})
	return message
}

// finish waits until Fluent Bit has sent or given up all chunks, which may take several of its attempts, ends it, and returns the
// texts that Loki took, sorted, each as often as it did.
func (r *refusing) finish() []string {
	r.t.Helper()
	await(r.t, "an end of all chunks", func() bool { return len(r.files("docker_logs.0/*.flb")) == 0 })
	r.end(syscall.SIGTERM)
	if left := r.files("docker_logs.0/*.flb"); len(left) > 0 {
		r.t.Errorf("chunks are left: %v", left)
	}
	var texts []string
	for _, e := range r.loki.Entries() {
		texts = append(texts, e.Text)
	}
	slices.Sort(texts)
	return texts
}

// files are those of Fluent Bit's storage that match.
func (r *refusing) files(pattern string) []string {
	r.t.Helper()
	found, err := filepath.Glob(filepath.Join(r.dir, "storage", pattern))
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// says tells whether Fluent Bit has said it.
func (r *refusing) says(text string) bool { return r.times(text) > 0 }

// times is how often Fluent Bit has said it.
func (r *refusing) times(text string) int {
	r.t.Helper()
	log, err := os.ReadFile(r.log())
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

func wantTexts(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Loki took %.300q, want %.300q", got, want)
	}
}

// TestRefusedForNow: whatever Loki, or what stands before it, answers but 400, the chunk is tried again until it is taken.
func TestRefusedForNow(t *testing.T) {
	r := refuse(t, lokitest.Defaults())
	statuses := []int{429, 500, 503, 401, 413, 260}
	r.loki.Decide(lokitest.InTurn(statuses...))
	r.container("web", "first")
	r.start()
	r.taken(1)
	for i, p := range r.loki.Pushes()[:len(statuses)] {
		if p.Status != statuses[i] {
			t.Errorf("push %d was answered with %d", i, p.Status)
		}
	}
	wantTexts(t, r.finish(), "first")
}

// TestRefusedForGood: a chunk that is answered with 400 is not tried again; it is kept where storage.keep.rejected is on.
func TestRefusedForGood(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("keep=", keep), func(t *testing.T) {
			more := []setting{}
			if keep {
				more = append(more, setting{"#storage.keep.rejected", "on\n    storage.keep.rejected on", ""})
			}
			r := refuse(t, lokitest.Defaults(), more...)
			r.loki.Decide(lokitest.InTurn(400))
			c := r.container("web", "first")
			r.start()
			r.refused(400)
			c.Stdout("second")
			r.taken(1)
			wantTexts(t, r.finish(), "second")
			if !r.says("HTTP status=400 Not retrying") {
				t.Error("nothing is said of it")
			}
			if kept := r.files("rejected/*"); keep != (len(kept) == 1) {
				t.Errorf("kept are %v", kept)
			}
		})
	}
}

// TestRetryLimit: with Retry_Limit not set, a chunk is dropped after the second attempt.
func TestRetryLimit(t *testing.T) {
	r := refuse(t, lokitest.Defaults(), setting{"Retry_Limit", "", ""})
	r.loki.Decide(lokitest.InTurn(500, 500))
	c := r.container("web", "first")
	r.start()
	r.await("two pushes", func(_ []lokitest.Entry, pushes []lokitest.Push) bool { return len(pushes) >= 2 })
	c.Stdout("second")
	r.taken(1)
	wantTexts(t, r.finish(), "second")
}

// TestOutOfOrder: a chunk that had to be tried again comes behind later ones. Loki takes it, and gives all in the order of
// their times.
func TestOutOfOrder(t *testing.T) {
	r := refuse(t, lokitest.Defaults())
	later := false
	r.loki.Decide(func(push []lokitest.Entry) int {
		if later = later || push[0].Text == "second"; later {
			return 0
		}
		return 503
	})
	c := r.container("web", "first")
	r.start()
	r.refused(503)
	c.Stdout("second")
	if e := r.taken(2); e[0].Text != "second" {
		t.Errorf("%q came first", e[0].Text)
	}
	wantTexts(t, r.finish(), "first", "second")
	l := &loki{url: r.loki.URL}
	defer l.http.CloseIdleConnections()
	got, err := l.entries(t.Context(), `{container_name="web"}`, time.Now().Add(-time.Hour))
	if err != nil || len(got) != 2 || got[0].text != "first" {
		t.Errorf("a query gives %v, %v", got, err)
	}
}

// TestTooOld: Loki refuses lines that are older than a week, for good; it takes the others of the push.
func TestTooOld(t *testing.T) {
	r := refuse(t, lokitest.Defaults())
	c := r.container("web")
	c.WriteAt(time.Now().AddDate(0, 0, -8), dockertest.Stdout, []byte("eight days old\n"))
	c.WriteAt(time.Now().AddDate(0, 0, -6), dockertest.Stderr, []byte("six days old\n"))
	c.Stdout("new")
	r.start()
	if text := r.refused(400); !strings.Contains(text, "timestamp too old") {
		t.Errorf("Loki said %q", text)
	}
	r.taken(2)
	wantTexts(t, r.finish(), "new", "six days old")
}

// TestTooFarBehind: Loki refuses for good what is an hour older than the newest line of its stream, which is a std stream of
// a container.
func TestTooFarBehind(t *testing.T) {
	r := refuse(t, lokitest.Defaults())
	c := r.container("web", "new")
	r.start()
	r.taken(1)
	old := time.Now().Add(-2 * time.Hour)
	c.WriteAt(old, dockertest.Stdout, []byte("two hours old\n"))
	c.WriteAt(time.Now().Add(-30*time.Minute), dockertest.Stdout, []byte("half an hour old\n"))
	c.WriteAt(old, dockertest.Stderr, []byte("two hours old, of the other stream\n"))
	if text := r.refused(400); !strings.Contains(text, "too far behind") {
		t.Errorf("Loki said %q", text)
	}
	r.taken(3)
	wantTexts(t, r.finish(), "half an hour old", "new", "two hours old, of the other stream")
}

// TestTooLong: what is longer than Loki takes is cut before, and flagged; with a larger Max_Line_Size Loki refuses it for
// good, and takes the other lines of the push.
func TestTooLong(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	t.Run("as in conf", func(t *testing.T) {
		r := refuse(t, lokitest.Defaults())
		r.container("web", "short", long)
		r.start()
		for _, e := range r.taken(2) {
			if cut := e.Text != "short"; cut != (e.Metadata["partial"] == "true") || cut && e.Text != long[:250<<10] {
				t.Errorf("%d bytes, structured metadata %v", len(e.Text), e.Metadata)
			}
		}
	})
	t.Run("Max_Line_Size 1M", func(t *testing.T) {
		r := refuse(t, lokitest.Defaults(), setting{"Max_Line_Size", "1M", ""})
		r.container("web", "short", long)
		r.start()
		if text := r.refused(400); !strings.Contains(text, "max entry size") {
			t.Errorf("Loki said %q", text)
		}
		wantTexts(t, r.finish(), "short")
	})
}

// TestNoStructuredMetadata: a Loki that allows none refuses all, for good.
func TestNoStructuredMetadata(t *testing.T) {
	limits := lokitest.Defaults()
	limits.DisallowStructuredMetadata = true
	r := refuse(t, limits)
	r.container("web", "first")
	r.start()
	if text := r.refused(400); !strings.Contains(text, "includes structured metadata") {
		t.Errorf("Loki said %q", text)
	}
	wantTexts(t, r.finish())
}

// TestTooFast: beyond the rate of all, Loki takes nothing of a push, and later all of it, once. A push that is larger than
// the burst is refused until the limit is raised; others pass it meanwhile.
func TestTooFast(t *testing.T) {
	limits := lokitest.Defaults()
	limits.IngestionRate, limits.IngestionBurst = 1, 60<<10
	r := refuse(t, limits)
	line := strings.Repeat("x", 40<<10)
	c := r.container("web", "1 "+line)
	r.start()
	r.taken(1)
	c.Stdout("2 " + line)
	if text := r.refused(429); !strings.Contains(text, "ingestion rate limit exceeded") {
		t.Errorf("Loki said %q", text)
	}
	limits.IngestionRate = 1 << 20
	r.loki.Limit(limits)
	r.taken(2)
	c.Stdout("3 " + line + line)
	before := len(r.loki.Pushes())
	r.await("two more refusals", func(_ []lokitest.Entry, pushes []lokitest.Push) bool { return len(pushes) >= before+2 })
	c.Stdout("4")
	r.taken(3)
	r.loki.Limit(lokitest.Defaults())
	r.taken(4)
	wantTexts(t, r.finish(), "1 "+line, "2 "+line, "3 "+line+line, "4")
}

// TestStreamTooFast: beyond the rate of a stream, Loki has taken the rest of the push when it refuses it. It comes again
// whole: nothing is lost, and what was taken is held twice; a query of lines shows it once.
func TestStreamTooFast(t *testing.T) {
	limits := lokitest.Defaults()
	limits.PerStreamRate, limits.PerStreamRateBurst = 1, 3<<10
	r := refuse(t, limits)
	line := strings.Repeat("x", 2<<10)
	c := r.container("web")
	c.Stderr("quiet")
	c.Stdout("1 "+line, "2 "+line)
	r.start()
	if text := r.refused(429); !strings.Contains(text, "Per stream rate limit exceeded") {
		t.Errorf("Loki said %q", text)
	}
	r.loki.Limit(lokitest.Defaults())
	r.await("all lines", func(entries []lokitest.Entry, _ []lokitest.Push) bool {
		return slices.ContainsFunc(entries, func(e lokitest.Entry) bool { return e.Text == "2 "+line })
	})
	held := r.finish()
	if len(held) <= 3 {
		t.Errorf("%d entries are held, none of them twice", len(held))
	}
	l := &loki{url: r.loki.URL}
	defer l.http.CloseIdleConnections()
	var texts []string
	for _, std := range []string{"stdout", "stderr"} {
		shown, err := l.entries(t.Context(), fmt.Sprintf(`{container_name="web",stream=%q}`, std), time.Now().Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range shown {
			texts = append(texts, e.text)
		}
	}
	slices.Sort(texts)
	wantTexts(t, texts, "1 "+line, "2 "+line, "quiet")
}

// TestNoLabels: Loki refuses a stream without a label. Fluent Bit gives one to a record that has none of the keys of Labels.
func TestNoLabels(t *testing.T) {
	r := refuse(t, lokitest.Defaults(), setting{"Labels", "compose_service=$compose_service", ""})
	r.container("web", "first")
	r.engine.Run(dockertest.Container{Name: "db", Labels: map[string]string{"com.docker.compose.service": "db"}}).Stdout("second")
	r.start()
	for _, e := range r.taken(2) {
		want := map[string]string{"first": "job=fluent-bit", "second": "compose_service=db"}[e.Text]
		for k, v := range e.Labels {
			if k+"="+v != want || len(e.Labels) > 1 {
				t.Errorf("%s has the labels %v", e.Text, e.Labels)
			}
		}
	}
	wantTexts(t, r.finish(), "first", "second")
}

// madeRoom is what Fluent Bit says of a chunk that it drops.
const madeRoom = "to make room under storage.total_limit_size"

// TestStorageLimit: when the chunks of an output have no more room, the oldest are dropped, and Fluent Bit says so. One that
// is on its way cannot be, later ones are dropped instead then, and new lines where all are: so there are some, and they wait
// between attempts.
func TestStorageLimit(t *testing.T) {
	r := refuse(t, lokitest.Defaults(), setting{"storage.total_limit_size", "6M", ""}, setting{"scheduler.base", "4", ""}, setting{"scheduler.cap", "4", ""})
	r.loki.Decide(lokitest.Always(503))
	c := r.container("web")
	r.start()
	const batches, lines = 10, 1000
	for i := range batches {
		batch := make([]string, lines)
		for j := range batch {
			batch[j] = fmt.Sprintf("%04d %s", i*lines+j, strings.Repeat("x", 1000))
		}
		before := len(r.loki.Pushes())
		c.Stdout(batch...)
		r.await("another push", func(_ []lokitest.Entry, pushes []lokitest.Push) bool { return len(pushes) > before })
	}
	await(t, "Fluent Bit's word", func() bool { return r.says(madeRoom) })
	r.loki.Decide(nil)
	r.await("the last line", func(entries []lokitest.Entry, _ []lokitest.Push) bool {
		return slices.ContainsFunc(entries, func(e lokitest.Entry) bool { return e.Text[:4] == fmt.Sprintf("%04d", batches*lines-1) })
	})
	got := r.finish()
	if len(got) == 0 || len(got) > (batches-2)*lines {
		t.Fatalf("Loki took %d lines", len(got))
	}
	// Each once; where lines are missing before one, that was said.
	holes := 0
	for i, text := range got {
		n, err := strconv.Atoi(text[:4])
		if err != nil {
			t.Fatal(err)
		}
		before := -1
		if i > 0 {
			before, _ = strconv.Atoi(got[i-1][:4])
		}
		if n <= before {
			t.Fatalf("line %d comes behind line %d", n, before)
		}
		if n > before+1 {
			holes++
		}
	}
	if said := r.times(madeRoom); holes == 0 || holes > said {
		t.Errorf("lines are missing in %d places, Fluent Bit has made room %d times", holes, said)
	}
}
