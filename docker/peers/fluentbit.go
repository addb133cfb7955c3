package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

// plugin is what was built of this project.
func plugin() (string, error) {
	root, err := enginetest.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "build", "in_docker_logs.so")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: make build", err)
	}
	return path, nil
}

// ours is the plugin in Fluent Bit, with one of its readers.
func ours(name, reader, source string) *Peer {
	return &Peer{
		Name: name, Title: "docker_logs, " + source, Source: source, Ours: true, Position: "`DB`", About: "`Reader " + reader + "`, `Labels *`, `DB`; its records have all the metadata",
		get: fluentBit,
		setUp: func(r *run) error {
			path, err := plugin()
			if err != nil {
				return err
			}
			r.args = []string{"-e", path}
			return r.fluentBit(fmt.Sprintf("    Name docker_logs\n    Docker_Host %s\n    Reader %s\n    Start_From beginning\n    Labels *\n    DB %s\n    Metrics_Listen off\n",
				r.host.Host, reader, filepath.Join(r.dir, "positions.json")))
		},
	}
}

// tail is Fluent Bit's own input for files, with its parser for Docker's.
func tail(name, title, about, options string) *Peer {
	return &Peer{
		Name: name, Title: title, Source: fromFiles, Position: "`DB`", About: about + "; `Parser docker`, `DB`; no metadata",
		get: fluentBit,
		setUp: func(r *run) error {
			return r.fluentBit(fmt.Sprintf("    Name tail\n    Path %s\n    Parser docker\n    Read_from_Head On\n    Refresh_Interval 1\n    DB %s\n%s",
				r.host.logs(), filepath.Join(r.dir, "tail.db"), options))
		},
	}
}

// fluentBit finds this machine's.
func fluentBit(ctx context.Context, _ Say) (program, version string, err error) {
	path, ok := debian.FluentBit()
	if !ok {
		return "", "", errors.New("there is no fluent-bit here")
	}
	return path, firstLine(ctx, path, "--version"), nil
}

// firstLine is the beginning of what a program says.
func firstLine(ctx context.Context, program string, args ...string) string {
	out, _ := exec.CommandContext(ctx, program, args...).CombinedOutput()
	text, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return text
}

// fluentBit configures it with an input.
func (r *run) fluentBit(input string) error {
	parsers, err := r.file("parsers.conf", "[PARSER]\n    Name docker\n    Format json\n    Time_Key time\n    Time_Format %Y-%m-%dT%H:%M:%S.%L\n    Time_Keep On\n")
	if err != nil {
		return err
	}
	addr, err := enginetest.FreeAddr()
	if err != nil {
		return err
	}
	host, port, _ := strings.Cut(addr, ":")
	output := "    Name null\n"
	if r.tally != nil {
		r.out = filepath.Join(r.dir, "out")
		output = fmt.Sprintf("    Name file\n    File %s\n    Retry_Limit no_limits\n", r.out)
	}
	conf, err := r.file("fluent-bit.conf", fmt.Sprintf("[SERVICE]\n    Flush %s\n    Grace 5\n    Log_Level warn\n    Parsers_File %s\n    HTTP_Server On\n    HTTP_Listen %s\n    HTTP_Port %s\n[INPUT]\n%s[OUTPUT]\n    Match *\n%s",
		r.work.flush, parsers, host, port, input, output))
	r.args = append(r.args, "-q", "-c", conf)
	r.scrape("http://"+addr+"/api/v1/metrics/prometheus", "fluentbit_output_proc_records_total")
	return err
}
