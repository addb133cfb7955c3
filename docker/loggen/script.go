package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// runScript carries out the steps in the file name, or in standard input for "-".
func runScript(name string) error {
	var r io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		r = f
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); text != "" {
			if err := step(text); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// step carries out one STD:BASE64 (written with a single write) or sleep:DURATION.
func step(s string) error {
	kind, arg, _ := strings.Cut(s, ":")
	var out io.Writer
	switch kind {
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return fmt.Errorf("step %q: %w", s, err)
		}
		time.Sleep(d)
		return nil
	case "stdout":
		out = os.Stdout
	case "stderr":
		out = os.Stderr
	default:
		return fmt.Errorf("step %q: want stdout:BASE64, stderr:BASE64 or sleep:DURATION", s)
	}
	b, err := base64.StdEncoding.DecodeString(arg)
	if err != nil {
		return fmt.Errorf("step %q: %w", s, err)
	}
	_, err = out.Write(b)
	return err
}
