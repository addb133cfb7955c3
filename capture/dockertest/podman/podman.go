package podman

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pipeSize is how much conmon reads at once.
const pipeSize = 8192

// Driver is Podman's log driver with a file.
const Driver = "k8s-file"

// hasNanos says whether the API's times have nanoseconds, as since 5.8.
func hasNanos(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a > 5 || a == 5 && b >= 8
}

// Layout is how the API of that version sends times.
func Layout(version string) string {
	if hasNanos(version) {
		return "2006-01-02T15:04:05.000000000Z07:00"
	}
	return time.RFC3339
}

// Components are those of a version.
func Components(version string) []map[string]string {
	return []map[string]string{{"Name": "Podman Engine", "Version": version}, {"Name": "Conmon", "Version": "conmon version 2.1.6"}}
}

// Refusal is what a log request is refused with. It is "" if it is served.
func Refusal(driver, name string, follow bool) string {
	text := "failed to obtain logs for Container '" + name + "': "
	switch {
	case driver == "none" || driver == "passthrough":
		return text + "this container is using the '" + driver + "' log driver, cannot read logs: this container is not logging output"
	case driver == "journald" && follow:
		return text + "using --follow with the journald --log-driver but without the journald --events-backend (file) is not supported"
	}
	return ""
}

// Pieces calls store for each piece that conmon makes of b.
// b is what is written at once.
func Pieces(b []byte, store func(piece []byte)) {
	for len(b) > 0 {
		read := b[:min(len(b), pipeSize)]
		b = b[len(read):]
		for line := range bytes.Lines(read) {
			store(line)
		}
	}
}

// Glue is a piece of a line as a tail shows it.
// It stands at the end of the record before.
func Glue(before, piece []byte) []byte {
	return append(append(slices.Clone(bytes.TrimSuffix(before, []byte("\n"))), piece...), '\n')
}

// AppendCRI renders a record for the file of k8s-file.
func AppendCRI(dst []byte, ts int64, std string, data []byte) []byte {
	tag := " P "
	text, whole := bytes.CutSuffix(data, []byte("\n"))
	if whole {
		tag = " F "
	}
	dst = time.Unix(0, ts).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000-07:00")
	return append(append(append(append(append(dst, ' '), std...), tag...), text...), '\n')
}

// Replace is a log rotation of conmon's.
// The next file is moved over the one that there is.
func Replace(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	return f, os.Rename(path+".tmp", path)
}

// Actions are its names of events.
// There are two: where they are chosen, and where they are told.
var Actions = map[string][2]string{"die": {"died", "die"}, "destroy": {"remove", "remove"}}
