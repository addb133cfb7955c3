// Healthcheck asks an HTTP server whether it is well. It is for images that have neither a shell nor curl.
//
//	healthcheck                                   the plugin's endpoint, where METRICS_LISTEN says
//	healthcheck http://127.0.0.1:8001/healthz
//
// It exits with 0 when the answer's status is 200, or METRICS_LISTEN is off, with 1 otherwise.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if err := check(os.Args[1:], os.Getenv("METRICS_LISTEN")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// check asks the URL that args name, else the endpoint at listen, if there is one.
func check(args []string, listen string) error {
	var url string
	switch {
	case len(args) > 1:
		return fmt.Errorf("usage: healthcheck [URL]")
	case len(args) == 1:
		url = args[0]
	case strings.EqualFold(listen, "off"):
		return nil // whether the process lives the Engine sees by itself
	default:
		var err error
		if url, err = healthz(listen); err != nil {
			return err
		}
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s", url, answer.Status)
	}
	return nil
}

// defaultListen is the default of the option Metrics_Listen.
const defaultListen = "127.0.0.1:8001"

// healthz is the URL by which this machine reaches what listens at an address, which may stand for all of its own.
func healthz(listen string) (string, error) {
	if listen == "" {
		listen = defaultListen
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("METRICS_LISTEN: %w", err)
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/healthz", nil
}
