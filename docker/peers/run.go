package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"fluent-bit-docker-logs/docker/soak"
)

// run is an agent at a work, over its restarts.
type run struct {
	*Peer
	work  *work
	host  *host
	dir   string // for its files
	tally *tally // knows its lines by number; nil: they are only counted

	// What setUp says.
	args, env []string
	// count is how many lines it has passed on, as it says itself or as the sink in this process knows. It is not asked
	// where there is a tally.
	count func(ctx context.Context) (int, error)
	out   string // the file with its lines, where there is a tally; empty: they come to this process
	pipe  bool   // they come from both of its std streams
	now   bool   // it begins with what is written after its start

	sink      net.Listener
	receiving sync.WaitGroup
	outFile   *os.File

	cmd   *exec.Cmd
	began time.Time     // of the process
	done  chan struct{} // closed when the process has ended
	ended float64       // seconds of CPU of those that have
	peak  float64       // bytes, of those that have
}

// begin sets an agent up, without starting it. Whoever begins ends it.
func (b *bench) begin(w *work, p *Peer, t *tally) (*run, error) {
	dir, err := os.MkdirTemp(b.dir, p.Name)
	if err != nil {
		return nil, err
	}
	r := &run{Peer: p, work: w, host: b.host, dir: dir, tally: t}
	if err := p.setUp(r); err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

// file writes a file of its own and returns the path.
func (r *run) file(name, text string) (string, error) {
	path := filepath.Join(r.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// log is the file with all that it says.
func (r *run) log() string { return filepath.Join(r.dir, "log") }

func (r *run) start() error {
	log, err := os.OpenFile(r.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(r.program, r.args...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), r.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if r.pipe {
		cmd.Stdout = r.here()
		cmd.Stderr = cmd.Stdout
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the run, which ends it in order
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	r.cmd, r.done, r.began = cmd, done, time.Now()
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	return nil
}

// alive returns an error where it has ended by itself.
func (r *run) alive() error {
	select {
	case <-r.done:
		return fmt.Errorf("it ended by itself: %s; %s", r.cmd.ProcessState, r.said())
	default:
		return nil
	}
}

// took is the CPU time of all its processes so far, in seconds, and the most memory of one of them, in bytes.
func (r *run) took() (cpu, peak float64, err error) {
	p, err := soak.Inspect(r.cmd.Process.Pid)
	if err != nil {
		return 0, 0, errors.Join(r.alive(), err)
	}
	return r.ended + p.CPU, max(r.peak, p.Peak), nil
}

// endTime is how long an orderly end may take.
const endTime = 20 * time.Second

// stop ends it in order; one that does not end in time is killed, which the error says.
func (r *run) stop() (err error) {
	if r.cmd == nil {
		return nil
	}
	if p, err := soak.Inspect(r.cmd.Process.Pid); err == nil {
		r.peak = max(r.peak, p.Peak)
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.done:
	case <-time.After(endTime):
		err = fmt.Errorf("it had to be killed: it did not end within %s of SIGTERM", endTime)
		_ = r.cmd.Process.Kill()
		<-r.done
	}
	s := r.cmd.ProcessState
	r.ended += (s.UserTime() + s.SystemTime()).Seconds()
	r.cmd = nil
	return err
}

// end stops whatever runs of it and removes its files.
func (r *run) end() {
	_ = r.stop()
	if r.sink != nil {
		_ = r.sink.Close()
	}
	r.receiving.Wait()
	if r.outFile != nil {
		_ = r.outFile.Close()
	}
	_ = os.RemoveAll(r.dir)
}

// said is the end of what it said.
func (r *run) said() string {
	b, _ := os.ReadFile(r.log())
	return lastLines(string(b), 3)
}
