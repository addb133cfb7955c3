package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// fluentBit is the real agent, configured in the classic format.
type fluentBit struct{ path string }

func (fluentBit) String() string { return "fluent-bit" }

func (f fluentBit) command(dir, out string, s setup) (*exec.Cmd, error) {
	var b strings.Builder
	section := func(name string, keys options) {
		fmt.Fprintf(&b, "[%s]\n", name)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			fmt.Fprintf(&b, "    %s %s\n", k, keys[k])
		}
	}
	service := options{"Flush": "0.2", "Grace": "10", "Hot_Reload": "On", "Log_Level": "info"}
	if s.daemon {
		service["Daemon"] = "On"
	}
	if s.logFile != "" {
		service["Log_File"] = s.logFile
	}
	if s.storage != "" {
		service["storage.path"] = s.storage
		service["storage.sync"] = "normal"
	}
	if host, port, ok := strings.Cut(s.http, ":"); ok {
		service["HTTP_Server"], service["HTTP_Listen"], service["HTTP_Port"] = "On", host, port
	}
	section("SERVICE", service)
	for _, in := range s.inputs {
		keys := maps.Clone(in)
		if s.memBufLimit != "" {
			keys["Mem_Buf_Limit"] = s.memBufLimit
		}
		if s.unthreaded {
			keys["Threaded"] = "Off"
		}
		if s.storage != "" {
			keys["storage.type"] = "filesystem"
		}
		keys["Name"] = "docker_logs"
		section("INPUT", keys)
	}
	section("OUTPUT", options{"Name": "file", "Match": "*", "File": out, "Retry_Limit": "no_limits"})
	conf := filepath.Join(dir, "fluent-bit.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(f.path, "-e", pluginPath, "-c", conf), nil
}

func (f fluentBit) help() *exec.Cmd {
	return exec.Command(f.path, "-e", pluginPath, "-i", "docker_logs", "-h")
}

func (fluentBit) ready() *regexp.Regexp { return regexp.MustCompile(`stream processor started`) }
func (fluentBit) reloaded() *regexp.Regexp {
	return regexp.MustCompile(`\[reload\] successful reload done`)
}
func (fluentBit) paused() *regexp.Regexp { return regexp.MustCompile(`paused \(mem buf overlimit`) }
