package dockertest

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Podman's socket speaks Docker's API, and differs (seen at 4.3.1):
//
//   - Each read of conmon's from a container's pipe, of 8 KiB at most, ends a piece of a line, which has a time of its own and no newline.
//   - The API's times are whole seconds. A tail counts lines, and joins the pieces of a line that go on to the line before. since is no gate.
//   - An inspect calls the log driver k8s-file json-file, and shows no log options; a log that cannot be read, or followed, is a 500.
//   - The events die and destroy are chosen as died and remove; destroy is also told as remove.
//   - The file of k8s-file has lines "time stream P|F text". At max-size another one is moved over it.

// pipeSize is how much conmon reads at once.
const pipeSize = 8192

// k8sFile is Podman's log driver with a file.
const k8sFile = "k8s-file"

// hasNanos says whether the API's times have nanoseconds, as since 5.8.
func hasNanos(podman string) bool {
	major, rest, _ := strings.Cut(podman, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return a > 5 || a == 5 && b >= 8
}

// podmanStamp is a record's time as the API sends it.
func podmanStamp(podman string, ts int64) string {
	layout := time.RFC3339
	if hasNanos(podman) {
		layout = "2006-01-02T15:04:05.000000000Z07:00"
	}
	return time.Unix(0, ts).UTC().Format(layout)
}

// podmanComponents are those of its version.
func podmanComponents(podman string) []map[string]string {
	return []map[string]string{{"Name": "Podman Engine", "Version": podman}, {"Name": "Conmon", "Version": "conmon version 2.1.6"}}
}

// podmanRefusal is what it answers to a log request that it does not serve, "" where it does.
func podmanRefusal(driver, name string, follow bool) string {
	text := "failed to obtain logs for Container '" + name + "': "
	switch {
	case driver == "none" || driver == "passthrough":
		return text + "this container is using the '" + driver + "' log driver, cannot read logs: this container is not logging output"
	case driver == "journald" && follow:
		return text + "using --follow with the journald --log-driver but without the journald --events-backend (file) is not supported"
	}
	return ""
}

// pieces calls store for each piece that conmon makes of what is written at once.
func pieces(b []byte, store func(piece []byte)) {
	for len(b) > 0 {
		read := b[:min(len(b), pipeSize)]
		b = b[len(read):]
		for line := range bytes.Lines(read) {
			store(line)
		}
	}
}

// glue is a piece of a line as a tail shows it: at the end of the record before.
func glue(before, piece []byte) []byte {
	return append(append(slices.Clone(bytes.TrimSuffix(before, []byte("\n"))), piece...), '\n')
}

// appendCRI renders a record for the file of k8s-file.
func appendCRI(dst []byte, ts int64, std string, data []byte) []byte {
	tag := " P "
	text, whole := bytes.CutSuffix(data, []byte("\n"))
	if whole {
		tag = " F "
	}
	dst = time.Unix(0, ts).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000-07:00")
	return append(append(append(append(append(dst, ' '), std...), tag...), text...), '\n')
}

// replace is a log rotation of conmon's: the next file is moved over the one that there is.
func replace(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	return f, os.Rename(path+".tmp", path)
}

// podmanActions are its names of events: where they are chosen, and where they are told.
var podmanActions = map[string][2]string{"die": {"died", "die"}, "destroy": {"remove", "remove"}}
