package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

// agent is the program that runs the plugin: Fluent Bit where this machine has one, else the project's host.
type agent struct {
	Name      string // and version
	Plugin    string // host:port of the plugin's endpoint
	FluentBit string // host:port of Fluent Bit's own; empty of the host
	log       string // file with all it said

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// settings is what an agent is started with.
type settings struct {
	dir    string // for its files
	out    string // where it writes its records
	host   string // the Engine
	run    string // only containers whose name begins so
	rotate time.Duration
}

// startAgent starts an agent with an [INPUT] for each of [readers]. The plugin must have been built.
func startAgent(s settings) (*agent, error) {
	root, err := enginetest.Root()
	if err != nil {
		return nil, err
	}
	plugin := filepath.Join(root, "build", "in_docker_logs.so")
	a := &agent{log: filepath.Join(s.dir, "agent.log"), done: make(chan struct{})}
	if a.Plugin, err = enginetest.FreeAddr(); err != nil {
		return nil, err
	}
	if path, ok := debian.FluentBit(); ok {
		err = a.fluentBit(path, plugin, s)
		if err != nil {
			return nil, err
		}
	} else {
		a.flbhost(filepath.Join(root, "build", "flbhost"), plugin, s)
	}
	log, err := os.Create(a.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the soak, which ends it in order
	stdin, err := a.cmd.StdinPipe()                         // the host ends with its standard input
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(a.done)
		_ = a.cmd.Wait()
		_ = stdin.Close()
	}()
	return a, nil
}

// options are the keys of the input that reads with reader.
func (s settings) options(a *agent, reader string) []string {
	return []string{
		"Docker_Host", s.host,
		"Include", "name=" + s.run + "-" + reader + "-*",
		"Reader", reader,
		"Start_From", "beginning",
		"DB", filepath.Join(s.dir, reader+".json"),
		"Rotate_Interval", s.rotate.String(),
		"Rotation_Log_Level", "debug",
		"Heartbeat_Interval", max(s.rotate, time.Second).String(),
		"Metrics_Listen", a.Plugin,
		"Metrics_Per_Container", "all",
	}
}

func (a *agent) fluentBit(path, plugin string, s settings) error {
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", path, err)
	}
	a.Name, _, _ = strings.Cut(string(version), "\n")
	if a.FluentBit, err = enginetest.FreeAddr(); err != nil {
		return err
	}
	var b strings.Builder
	section := func(name string, pairs ...string) {
		fmt.Fprintf(&b, "[%s]\n", name)
		for i := 0; i < len(pairs); i += 2 {
			fmt.Fprintf(&b, "    %s %s\n", pairs[i], pairs[i+1])
		}
	}
	host, port, _ := strings.Cut(a.FluentBit, ":")
	section("SERVICE", "Flush", "0.5", "Grace", "10", "Log_Level", "info", "HTTP_Server", "On", "HTTP_Listen", host, "HTTP_Port", port)
	for _, r := range readers {
		section("INPUT", append([]string{"Name", "docker_logs", "Alias", r}, s.options(a, r)...)...)
	}
	section("OUTPUT", "Name", "file", "Match", "*", "File", s.out, "Format", "plain")
	conf := filepath.Join(s.dir, "fluent-bit.conf")
	a.cmd = exec.Command(path, "-e", plugin, "-c", conf)
	return os.WriteFile(conf, []byte(b.String()), 0o600)
}

func (a *agent) flbhost(path, plugin string, s settings) {
	a.Name = "flbhost"
	args := []string{"--flush-ms", "500", "--log-level", "info", "-o", "file:" + s.out, plugin}
	for _, r := range readers {
		args = append(args, "-i")
		for o := s.options(a, r); len(o) > 0; o = o[2:] {
			args = append(args, o[0]+"="+o[1])
		}
	}
	a.cmd = exec.Command(path, args...)
}

// stop ends it in order, and says so if that was not to be.
func (a *agent) stop(ctx context.Context) error {
	select {
	case <-a.done:
		return fmt.Errorf("%s ended by itself: %v", a.Name, a.cmd.ProcessState)
	default:
	}
	err := a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-a.done:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("%s does not end on SIGTERM", a.Name), a.cmd.Process.Kill())
		<-a.done
		return err
	}
	if !a.cmd.ProcessState.Success() {
		err = errors.Join(err, fmt.Errorf("%s ended with %v", a.Name, a.cmd.ProcessState))
	}
	return err
}

// said is the end of what it said.
func (a *agent) said() string {
	b, _ := os.ReadFile(a.log)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
