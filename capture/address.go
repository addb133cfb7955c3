package capture

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"fluent-bit-docker-logs/capture/engine"
)

// Where the Engine is, and whether TLS is spoken with it, is found as other
// Docker clients do: by the option, else $DOCKER_HOST, else the Docker context in
// use, else the local socket.

const (
	defaultSocket = "/var/run/docker.sock"
	tlsPort       = "2376" // by convention; 2375 is plain
)

// parseHost reads the option Docker_Host.
func parseHost(c *Config, v string) error {
	from, endpoint := "", dockerEndpoint{Host: v}
	if v == "" {
		from, endpoint.Host = "$DOCKER_HOST", os.Getenv("DOCKER_HOST")
	}
	if endpoint.Host == "" {
		var err error
		if from, endpoint, err = currentContext(); err != nil {
			return err
		}
	}
	if endpoint.Host == "" {
		endpoint.Host = "unix://" + localSocket(defaultSocket)
	}
	if err := checkHost(endpoint.Host); err != nil {
		if from != "" {
			return errors.New(from + " " + strconv.Quote(redact(endpoint.Host)) + ": " + err.Error()) // not errNotAllowed, whose place the table takes
		}
		return err
	}
	c.DockerHost, c.TLS = endpoint.Host, endpoint.tls
	return nil
}

// localSocket is the path of the local Engine's socket: where the usual one is
// absent, that of an Engine that this user runs, if there is one.
func localSocket(usual string) string {
	if _, err := os.Stat(usual); err == nil {
		return usual
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = "/run/user/" + strconv.Itoa(os.Getuid())
	}
	rootless := filepath.Join(dir, "docker.sock")
	if st, err := os.Stat(rootless); err == nil && st.Mode()&os.ModeSocket != 0 {
		return rootless
	}
	return usual
}

// checkHost says what is wrong with an Engine's address, without repeating it.
func checkHost(v string) error {
	if path, ok := strings.CutPrefix(v, "unix://"); ok {
		if !filepath.IsAbs(path) {
			return errors.New("the socket's path does not begin with /")
		}
		return nil
	}
	if !strings.HasPrefix(v, "tcp://") {
		return errNotAllowed
	}
	u, err := url.Parse(v)
	switch {
	case err != nil:
		return errNotAllowed
	case u.User != nil:
		return errors.New("the Engine knows no user or password; TLS certificates are what it asks for (Docker_TLS_Cert)")
	case u.Hostname() == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return errNotAllowed
	}
	_, port, err := net.SplitHostPort(u.Host)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 1 || n > 65535 {
		return errors.New("a port between 1 and 65535 is needed")
	}
	return nil
}

// userinfo is what stands before the host in an address.
var userinfo = regexp.MustCompile(`//[^/@]*@`)

// redact hides a user and a password in an address.
func redact(v string) string { return userinfo.ReplaceAllString(v, "//***@") }

// dockerEndpoint is an address of an Engine and what goes with it.
type dockerEndpoint struct {
	Host          string
	SkipTLSVerify bool
	tls           engine.TLS
}

// currentContext is the endpoint of the Docker context in use, with its name for
// messages; an empty Host if that is the default one.
func currentContext() (from string, e dockerEndpoint, err error) {
	dir := dockerDir("DOCKER_CONFIG")
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" && dir != "" {
		var conf struct{ CurrentContext string }
		if b, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil && json.Unmarshal(b, &conf) == nil {
			name = conf.CurrentContext
		}
	}
	if name == "" || name == "default" {
		return "", e, nil
	}
	from = fmt.Sprintf("the Docker context %q has", name)
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	var meta struct {
		Endpoints map[string]dockerEndpoint
	}
	b, err := os.ReadFile(filepath.Join(dir, "contexts", "meta", id, "meta.json"))
	if err == nil {
		err = json.Unmarshal(b, &meta)
	}
	if e = meta.Endpoints["docker"]; err == nil && e.Host == "" {
		err = errors.New("it names no Engine")
	}
	if err != nil {
		return "", e, fmt.Errorf("the Docker context %q cannot be used, set Docker_Host: %w", name, err)
	}
	if strings.HasPrefix(e.Host, "tcp://") {
		e.tls.TakeFrom(filepath.Join(dir, "contexts", "tls", id, "docker"))
		e.tls.Skip = e.SkipTLSVerify
	}
	return from, e, nil
}

// dockerDir is a directory of the Docker client's: what the variable says, or
// the usual one; "" if there is neither.
func dockerDir(variable string) string {
	if dir := os.Getenv(variable); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}

// useTLS decides, for an Engine behind TCP, whether TLS is spoken with it: where
// an option, the environment or its port asks for it. verify is what the option
// Docker_TLS_Verify says, empty where it is not set.
func (c *Config) useTLS(verify string) error {
	t := &c.TLS
	if !strings.HasPrefix(c.DockerHost, "tcp://") {
		if t.CA+t.Cert+t.Key != "" {
			return fmt.Errorf("option Docker_TLS_CA / Docker_TLS_Cert: TLS needs Docker_Host tcp://host:port, not %q", c.DockerHost)
		}
		return nil
	}
	env := os.Getenv("DOCKER_TLS_VERIFY") != ""
	if path := os.Getenv("DOCKER_CERT_PATH"); !t.On && t.CA+t.Cert+t.Key == "" && (env || path != "") {
		t.TakeFrom(dockerDir("DOCKER_CERT_PATH"))
		t.On, t.Skip = true, !env
	}
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("options Docker_TLS_Cert and Docker_TLS_Key: set both or none")
	}
	t.On = t.On || t.CA+t.Cert != "" || (verify != "" && t.Verify) || strings.HasSuffix(c.DockerHost, ":"+tlsPort)
	if verify == "" && t.Skip {
		t.Verify = false
	}
	return nil
}

// onLoopback says whether a host and port are of this machine alone.
func onLoopback(hostport string) bool {
	host, _, _ := net.SplitHostPort(hostport)
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
