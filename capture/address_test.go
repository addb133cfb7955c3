package capture_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/engine"
)

// noDocker hides the Docker client's settings of whoever runs the tests.
func noDocker(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, "")
	}
	return home
}

// Addresses that cannot be meant are refused, and what is secret in them is not
// repeated.
func TestAddresses(t *testing.T) {
	noDocker(t)
	for _, good := range []string{"unix:///var/run/docker.sock", "tcp://host:2375", "tcp://10.0.0.1:2376", "tcp://[::1]:2375", "tcp://host:1/"} {
		if c, err := parse(map[string]string{"Docker_Host": good}); err != nil || c.DockerHost != good {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"tcp://host", "tcp://:2375", "tcp://h:99999", "tcp://h:0", "tcp://h:2375/base", "tcp://h:2375?x=y",
		"unix://relative/path", "unix://", "ssh://me@h", "npipe:////./pipe/docker_engine", "TCP://h:1", "/var/run/docker.sock", "tcp://h:1:2"} {
		if _, err := parse(map[string]string{"Docker_Host": bad}); err == nil {
			t.Errorf("%s is accepted", bad)
		}
		t.Setenv("DOCKER_HOST", bad)
		if _, err := parse(nil); err == nil || !strings.Contains(err.Error(), "$DOCKER_HOST") {
			t.Errorf("$DOCKER_HOST %s: %v", bad, err)
		}
		t.Setenv("DOCKER_HOST", "")
	}
	const secret = "tcp://me:geheim@h:2375"
	_, err := parse(map[string]string{"Docker_Host": secret})
	t.Setenv("DOCKER_HOST", secret)
	_, err2 := parse(nil)
	for _, err := range []error{err, err2} {
		if err == nil || strings.Contains(err.Error(), "geheim") || !strings.Contains(err.Error(), "tcp://***@h:2375") {
			t.Errorf("%v", err)
		}
	}
}

// Where the usual socket is absent, that of the user's own Engine is taken.
func TestRootlessSocket(t *testing.T) {
	noDocker(t)
	dir := t.TempDir()
	usual := filepath.Join(dir, "usual.sock")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	if have := capture.LocalSocket(usual); have != usual {
		t.Errorf("neither is there: %s", have)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "docker.sock"))
	must(t, err)
	defer l.Close()
	if have := capture.LocalSocket(usual); have != filepath.Join(dir, "docker.sock") {
		t.Errorf("the usual one is not there: %s", have)
	}
	must(t, os.WriteFile(usual, nil, 0o600))
	if have := capture.LocalSocket(usual); have != usual {
		t.Errorf("both are there: %s", have)
	}
}

// dockerContext makes a context of the Docker client.
func dockerContext(t *testing.T, home, name, endpoint string) (tlsDir string) {
	t.Helper()
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	meta, tlsDir := filepath.Join(home, ".docker/contexts/meta", id), filepath.Join(home, ".docker/contexts/tls", id, "docker")
	must(t, os.MkdirAll(meta, 0o700))
	must(t, os.MkdirAll(tlsDir, 0o700))
	must(t, os.WriteFile(filepath.Join(meta, "meta.json"), fmt.Appendf(nil, `{"Name":%q,"Metadata":{},"Endpoints":{"docker":%s}}`, name, endpoint), 0o600))
	return tlsDir
}

// The Docker context in use says where the Engine is, unless the option or
// $DOCKER_HOST does.
func TestDockerContexts(t *testing.T) {
	home := noDocker(t)
	tlsDir := dockerContext(t, home, "far", `{"Host":"tcp://far:4243","SkipTLSVerify":true}`)
	_, cert, _ := certificate(t, "ca", nil)
	pem, err := os.ReadFile(cert)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(tlsDir, "ca.pem"), pem, 0o600))
	dockerContext(t, home, "near", `{"Host":"unix:///run/near.sock"}`)
	dockerContext(t, home, "shell", `{"Host":"ssh://me:geheim@h"}`)
	must(t, os.WriteFile(filepath.Join(home, ".docker/config.json"), []byte(`{"currentContext":"near"}`), 0o600))
	c, err := parse(nil)
	if must(t, err); c.DockerHost != "unix:///run/near.sock" || c.TLS.On {
		t.Errorf("currentContext: %+v", c)
	}
	t.Setenv("DOCKER_CONTEXT", "far")
	c, err = parse(nil)
	if must(t, err); c.DockerHost != "tcp://far:4243" || !c.TLS.On || c.TLS.Verify || c.TLS.CA != filepath.Join(tlsDir, "ca.pem") {
		t.Errorf("DOCKER_CONTEXT: %+v", c)
	}
	if c, err = parse(map[string]string{"Docker_TLS_Verify": "on"}); err != nil || !c.TLS.Verify {
		t.Errorf("the option is not preferred: %+v, %v", c.TLS, err)
	}
	if c, err = parse(map[string]string{"Docker_Host": "unix:///x"}); err != nil || c.DockerHost != "unix:///x" || c.TLS.On {
		t.Errorf("the option is not preferred: %+v, %v", c, err)
	}
	for name, want := range map[string]string{"shell": "ssh://***@h", "none": "set Docker_Host"} {
		t.Setenv("DOCKER_CONTEXT", name)
		if _, err = parse(nil); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
			t.Errorf("context %s: %v", name, err)
		}
	}
	t.Setenv("DOCKER_CONTEXT", "default")
	if c, err = parse(nil); err != nil || c.DockerHost != "unix://"+capture.LocalSocket(capture.DefaultSocket) {
		t.Errorf("default: %s, %v", c.DockerHost, err)
	}
}

// TLS is spoken where anything asks for it.
func TestTLSIsAskedFor(t *testing.T) {
	noDocker(t)
	dir := t.TempDir()
	_, caFile, _ := certificate(t, "ca", nil)
	pem, err := os.ReadFile(caFile)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "ca.pem"), pem, 0o600))
	for _, test := range []struct {
		opts       map[string]string
		env        map[string]string
		on, verify bool
		ca         string
	}{
		{opts: map[string]string{"Docker_Host": "tcp://h:2375"}, verify: true},
		{opts: map[string]string{"Docker_Host": "tcp://h:2376"}, on: true, verify: true},
		{opts: map[string]string{"Docker_Host": "tcp://h:2376", "Docker_TLS_Verify": "off"}, on: true},
		{opts: map[string]string{"Docker_Host": "tcp://h:2375", "Docker_TLS_Verify": "off"}},
		{opts: map[string]string{"Docker_Host": "tcp://h:1", "Docker_TLS_Verify": "on"}, on: true, verify: true},
		{opts: map[string]string{"Docker_Host": "tcp://h:1", "Docker_TLS_CA": caFile}, on: true, verify: true, ca: caFile},
		{env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": dir}, on: true, verify: true, ca: dir + "/ca.pem"},
		{env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1"}, on: true, verify: true},
		{env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CERT_PATH": dir}, on: true, ca: dir + "/ca.pem"},
		{opts: map[string]string{"Docker_TLS_CA": caFile}, env: map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CERT_PATH": dir}, on: true, verify: true, ca: caFile},
		{opts: map[string]string{"Docker_Host": "unix:///x"}, env: map[string]string{"DOCKER_TLS_VERIFY": "1"}, verify: true},
	} {
		t.Run(fmt.Sprint(test.opts, test.env), func(t *testing.T) {
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			c, err := parse(test.opts)
			must(t, err)
			if c.TLS.On != test.on || c.TLS.Verify != test.verify || c.TLS.CA != test.ca {
				t.Errorf("%+v", c.TLS)
			}
			api, err := engine.New(engine.Options{Host: c.DockerHost, TLS: c.TLS})
			must(t, err)
			transport, err := api.Transport()
			must(t, err)
			if (transport.TLSClientConfig != nil) != test.on {
				t.Errorf("the client's is %v", transport.TLSClientConfig)
			}
			must(t, api.Close())
		})
	}
}

// That an Engine far away is spoken with openly is said.
func TestPlainTCPIsSaid(t *testing.T) {
	noDocker(t)
	for host, want := range map[string]bool{"tcp://192.0.2.1:2375": true, "tcp://127.0.0.1:1": false, "tcp://localhost:1": false, "tcp://192.0.2.1:2376": false} {
		a := startAgent(t, host, nil)
		if have := strings.Contains(a.log.String(), "neither encrypted nor authenticated"); have != want {
			t.Errorf("%s: %v", host, have)
		}
		a.stop()
	}
}
