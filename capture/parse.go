package capture

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/record"
)

// The ways in which the option table reads values. Each returns errNotAllowed
// where the table's own words say enough.

func parseFile(dst *string, v string) error {
	if v == "" {
		return nil
	}
	f, err := os.Open(v)
	if err != nil {
		return err
	}
	*dst = v
	return f.Close()
}

func parseDB(dst *string, v string) error {
	if v == "" {
		return nil
	}
	if st, err := os.Stat(filepath.Dir(v)); err != nil {
		return err
	} else if !st.IsDir() {
		return errNotAllowed
	}
	if st, err := os.Stat(v); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", v)
	}
	abs, err := filepath.Abs(v)
	*dst = abs
	return err
}

func parseOneOf(dst *string, v string, allowed ...string) error {
	for _, a := range allowed {
		if strings.EqualFold(v, a) {
			*dst = a
			return nil
		}
	}
	return errNotAllowed
}

func parseSize(dst *int, v string, lo, hi int) error {
	n, err := units.RAMInBytes(v)
	if err != nil || n < int64(lo) || n > int64(hi) {
		return errNotAllowed
	}
	*dst = int(n)
	return nil
}

func parseDuration(dst *time.Duration, v string, lo, hi time.Duration) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < lo || d > hi {
		return errNotAllowed
	}
	*dst = d
	return nil
}

func parseInt(dst *int, v string, lo, hi int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < lo || n > hi {
		return errNotAllowed
	}
	*dst = n
	return nil
}

// parseAuto is parseInt where auto, 0, is allowed too.
func parseAuto(dst *int, v string, lo, hi int) error {
	if strings.EqualFold(v, "auto") {
		*dst = 0
		return nil
	}
	return parseInt(dst, v, lo, hi)
}

func parseFloat(dst *float64, v string, lo, hi float64) error {
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || !(x >= lo && x <= hi) { // NaN is neither
		return errNotAllowed
	}
	*dst = x
	return nil
}

func parseListen(dst *string, v string) error {
	if strings.EqualFold(v, "off") {
		return nil
	}
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errNotAllowed
	}
	*dst = v
	return nil
}

func parseStreams(c *Config, v string) error {
	for _, s := range strings.Split(v, ",") {
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "stdout":
			c.Stdout = true
		case "stderr":
			c.Stderr = true
		default:
			return errNotAllowed
		}
	}
	return nil
}

func parseStart(dst *checkpoint.Start, v string) error {
	switch lower := strings.ToLower(v); {
	case lower == "now":
		*dst = checkpoint.Start{Kind: checkpoint.StartNow}
	case lower == "beginning":
		*dst = checkpoint.Start{Kind: checkpoint.StartBeginning}
	case strings.HasPrefix(lower, "tail:"):
		n, err := strconv.Atoi(lower[len("tail:"):])
		if err != nil || n < 1 || n > 1_000_000_000 {
			return errNotAllowed
		}
		*dst = checkpoint.Start{Kind: checkpoint.StartTail, Tail: n}
	default:
		d, err := time.ParseDuration(lower)
		if err != nil || d <= 0 {
			return errNotAllowed
		}
		*dst = checkpoint.Start{Kind: checkpoint.StartSince, Since: d}
	}
	return nil
}

func parseLogKey(c *Config, v string) error {
	if len(v) > 255 || record.Uses(v) {
		return errNotAllowed
	}
	c.LogKey = v
	return nil
}

func parseBool(dst *bool, v string) error {
	on, ok := container.BoolOf(v)
	if !ok {
		return errNotAllowed
	}
	*dst = on
	return nil
}
