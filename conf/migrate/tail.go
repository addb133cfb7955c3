package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// row is what tail keeps of a file (its table in_tail_files).
type row struct {
	inode   uint64
	offset  int64 // behind the last line that was read
	created int64 // when tail took the file up, in seconds since 1970
	name    string
}

// readTail reads all rows of tail's database.
func readTail(path string) ([]row, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there: -tail is the file that the option DB of tail names; a tail without DB has no positions, and docker_logs begins where Start_From says", path)
	}
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file: -tail is the file that the option DB of tail names", path)
	}
	if pid := opener(fi); pid != 0 {
		return nil, fmt.Errorf("%s is in use by process %d: end Fluent Bit first, what it reads from here on would come twice", path, pid)
	}
	sqlite, err := exec.LookPath("sqlite3")
	if err != nil {
		return nil, errors.New("the command sqlite3 is not on the PATH, and reads tail's database: install it (Debian: apt-get install sqlite3)")
	}
	at, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Without a log that is to be read too, the database is read as a file that nobody changes: else sqlite makes such a log.
	from := url.URL{Scheme: "file", Path: at}
	if !killed(path) {
		from.RawQuery = "immutable=1"
	}
	var said bytes.Buffer
	cmd := exec.Command(sqlite, "-readonly", "-batch", "-list", "-noheader", from.String(),
		"SELECT inode || ' ' || offset || ' ' || coalesce(created, 0) || ' ' || name FROM in_tail_files ORDER BY id")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		why := strings.TrimSpace(said.String())
		switch {
		case strings.Contains(why, "not a database"):
			return nil, fmt.Errorf("%s is no sqlite database (%s): -tail is the file that the option DB of tail names, not a log or a configuration", path, why)
		case strings.Contains(why, "locked"):
			return nil, fmt.Errorf("%s is in use (%s): end Fluent Bit first, what it reads from here on would come twice", path, why)
		case strings.Contains(why, "no such table"), strings.Contains(why, "no such column"):
			return nil, fmt.Errorf("%s is a database, but not one of tail (%s): -tail is the file that the option DB of tail names", path, why)
		}
		return nil, fmt.Errorf("%s: sqlite3: %w: %s", path, err, why)
	}
	var rows []row
	for line := range strings.Lines(string(out)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) != 4 {
			return nil, fmt.Errorf("%s: the row %q is not understood", path, line)
		}
		r := row{name: f[3]}
		var bad [3]error
		r.inode, bad[0] = strconv.ParseUint(f[0], 10, 64)
		r.offset, bad[1] = strconv.ParseInt(f[1], 10, 64)
		r.created, bad[2] = strconv.ParseInt(f[2], 10, 64)
		if err := errors.Join(bad[:]...); err != nil || r.offset < 0 {
			return nil, fmt.Errorf("%s: the row %q is not understood", path, line)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s holds no file: tail has read none with it, or they are all gone", path)
	}
	return rows, nil
}

// killed says whether the process that wrote the database did not close it: its log is there still.
func killed(path string) bool {
	_, err := os.Stat(path + "-wal")
	return err == nil
}

// opener is a process that has the file open; 0 if none is seen.
func opener(file os.FileInfo) int {
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range open {
		if fi, err := os.Stat(fd); err == nil && os.SameFile(fi, file) { // by its inode: a container names it otherwise
			pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
			return pid
		}
	}
	return 0
}

var logName = regexp.MustCompile(`(?:^|/)([0-9a-f]{64})-json\.log(?:\.[0-9]+)?$`)

// containerOf is the id of the container whose log has that name; "" if it is something else.
func containerOf(name string) string {
	if m := logName.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return ""
}
