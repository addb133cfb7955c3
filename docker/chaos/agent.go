package chaos

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

// agent is Fluent Bit with the plugin; a plan may end it and start it again.
type agent struct {
	command func() *exec.Cmd
	log     string // all that it said, of all its processes

	cmd   *exec.Cmd
	stdin io.Closer // the host ends with it
	began time.Time
	done  chan struct{} // closed when the process has ended
}

// Agent is the program that loads the plugin.
type Agent struct {
	Name    string // and version
	program string
	host    bool // the project's own minimal Fluent Bit: it has no chunks on disk, and its output is always there
	plugin  string
}

// FindAgent returns this machine's Fluent Bit. Where there is none it is the project's host. Both, and the plugin,
// must have been built.
func FindAgent() (Agent, error) {
	root, err := enginetest.Root()
	if err != nil {
		return Agent{}, err
	}
	a := Agent{Name: "flbhost (there is no fluent-bit here)", program: filepath.Join(root, "build", "flbhost"), host: true, plugin: filepath.Join(root, "build", "in_docker_logs.so")}
	if path, ok := debian.FluentBit(); ok {
		a.program, a.host = path, false
		version, err := exec.Command(path, "--version").Output()
		if err != nil {
			return a, fmt.Errorf("%s --version: %w", path, err)
		}
		a.Name, _, _ = strings.Cut(string(version), "\n")
	}
	return a, nil
}

// setup is what an agent is started with.
type setup struct {
	Agent
	dir     string // for the configuration and the log
	disk    string // for DB and chunks
	engine  string // Docker_Host
	sink    string // host:port
	listen  string // Metrics_Listen
	include string
	plan    *Plan
}

// configure writes the configuration.
func configure(s setup) (*agent, error) {
	host, port, _ := strings.Cut(s.sink, ":")
	ms := func(n int64) string { return (time.Duration(n) * time.Millisecond).String() }
	input := []string{"Docker_Host", s.engine, "Include", s.include,
		"Reader", s.plan.Reader, "Start_From", "beginning", "DB", filepath.Join(s.disk, "db.json"), "Rotate_Interval", ms(s.plan.Rotate), "Rotation_Log_Level", "debug",
		"Heartbeat_Interval", ms(s.plan.Heartbeat), "Metrics_Listen", s.listen, "Resync_Interval", "5s", "Idle_After", "2s", "Poll_Max", "2s", "Poll_Min", "200ms",
		"Max_Streams", fmt.Sprint(s.plan.MaxStreams), "Batch_Size", fmt.Sprint(s.plan.Batch), "Buffer_Limit", fmt.Sprint(s.plan.Limit)}
	a := &agent{log: filepath.Join(s.dir, "agent.log")}
	if s.host {
		var n int
		a.command = func() *exec.Cmd {
			n++
			args := []string{"--flush-ms", "200", "--mem-buf-limit", "5M", "-t", "docker", "-o", "file:" + filepath.Join(s.dir, fmt.Sprint("records-", n)), s.plugin}
			for i := 0; i < len(input); i += 2 {
				args = append(args, input[i]+"="+input[i+1])
			}
			return exec.Command(s.program, args...)
		}
		return a, nil
	}
	conf := section("SERVICE", "Flush", "0.2", "Grace", "5", "Log_Level", "info", "Hot_Reload", "On", "Hot_Reload.Ensure_Thread_Safety", "Off",
		"scheduler.base", "1", "scheduler.cap", "2", "storage.path", filepath.Join(s.disk, "chunks"), "storage.sync", "normal")
	conf += section("INPUT", append([]string{"Name", "docker_logs", "Alias", "chaos", "Tag", "docker", "storage.type", s.plan.Storage, "Mem_Buf_Limit", "5M"}, input...)...)
	conf += section("OUTPUT", "Name", "http", "Match", "*", "Host", host, "Port", port, "Format", "msgpack", "Retry_Limit", "no_limits")
	path := filepath.Join(s.dir, "fluent-bit.conf")
	a.command = func() *exec.Cmd { return exec.Command(s.program, "-e", s.plugin, "-c", path) }
	return a, os.WriteFile(path, []byte(conf), 0o600)
}

func section(name string, pairs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", name)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "    %s %s\n", pairs[i], pairs[i+1])
	}
	return b.String()
}

// start starts a process.
func (a *agent) start() error {
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	a.cmd, a.done, a.began = a.command(), make(chan struct{}), time.Now()
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the run, which ends it in order
	if a.stdin, err = a.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := a.cmd.Start(); err != nil {
		return err
	}
	cmd, done := a.cmd, a.done
	go func() {
		defer close(done)
		_ = cmd.Wait() // closes its standard input, too
	}()
	return nil
}

func (a *agent) signal(sig syscall.Signal) error { return a.cmd.Process.Signal(sig) }

// ended says whether it has ended, and how.
func (a *agent) ended() (string, bool) {
	select {
	case <-a.done:
		return a.cmd.ProcessState.String(), true
	default:
		return "", false
	}
}

// endTime is how long an orderly end may take: Grace, a second of Fluent Bit's, and what the plugin may wait for the Engine
// and its disk, on a machine that is busy.
const endTime = 30 * time.Second

// startTime is how old Fluent Bit must be to end in order: before that, no handler of the signal may be there yet.
const startTime = 5 * time.Second

// stop ends it in order.
func (a *agent) stop() error {
	if how, ok := a.ended(); ok {
		return fmt.Errorf("Fluent Bit had ended by itself: %s", how)
	}
	young := time.Since(a.began) < startTime
	if err := a.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-a.done:
	case <-time.After(endTime):
		_ = a.signal(syscall.SIGABRT) // Go then tells its goroutines
		select {
		case <-a.done:
		case <-time.After(5 * time.Second):
			a.kill()
		}
		return fmt.Errorf("Fluent Bit did not end within %v of SIGTERM", endTime)
	}
	status, _ := a.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if young && status.Signaled() && status.Signal() == syscall.SIGTERM {
		return nil
	}
	if !a.cmd.ProcessState.Success() {
		return fmt.Errorf("Fluent Bit ended with %v", a.cmd.ProcessState)
	}
	return nil
}

func (a *agent) kill() {
	_ = a.signal(syscall.SIGKILL)
	<-a.done
}

func (a *agent) said() string {
	b, _ := os.ReadFile(a.log)
	return string(b)
}
