// Migrate has docker_logs go on where the input tail stopped. It writes the positions of tail in Docker's log files
// into a new file for the option DB:
//
//	migrate -tail /var/lib/fluent-bit/tail.db -db /var/lib/fluent-bit/docker_logs.json
//
// Fluent Bit must have ended. It reads tail's database by the command sqlite3, and the last records that tail has read; it changes
// neither. It prints where each container begins, exits with 1 and a reason where nothing could be written, with 2 after a mistake in
// its arguments.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
)

func main() {
	tail := flag.String("tail", "", "tail's `file`: its option DB")
	db := flag.String("db", "", "the `file` to write: the option DB of docker_logs")
	dir := flag.String("containers", "", "the `directory` in which the containers' logs are here, if not where tail saw them, as /var/lib/docker/containers")
	flag.Parse()
	if *tail == "" || *db == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := migrate(os.Stdout, *tail, *db, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

// migrate does it all, and says to w what it does.
func migrate(w io.Writer, tail, db, dir string) error {
	if _, err := os.Lstat(db); err == nil {
		return fmt.Errorf("%s is there already and is not overwritten: give -db another file, or move it away if its positions are of no use", db)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	rows, err := readTail(tail)
	if err != nil {
		return err
	}
	cp := checkpoint.Content{Version: checkpoint.Version, Saved: time.Now().UTC(), Containers: map[string]checkpoint.Entry{}}
	logs := map[string][]row{}
	var order []string
	var others, gone, notes int
	for _, r := range rows {
		id := containerOf(r.name)
		if id == "" {
			others++
			fmt.Fprintf(w, "%s: not a container's log, left out\n", r.name)
			continue
		}
		if logs[id] == nil {
			order = append(order, id)
		}
		logs[id] = append(logs[id], r)
		// What was created since tail last took up a file it has never seen.
		if created := time.Unix(r.created, 0).UTC(); created.After(cp.FirstStart) {
			cp.FirstStart = created
		}
	}
	for _, id := range order {
		l, err := openLog(id, logs[id][0].name, dir)
		if errors.Is(err, errGone) {
			gone++
			fmt.Fprintf(w, "%.12s: its log %s is not there any more, left out\n", id, logs[id][0].name)
			continue
		}
		if err != nil {
			return err
		}
		p, said, err := l.begin(logs[id])
		l.close()
		if err != nil {
			return err
		}
		cp.Containers[id] = checkpoint.Entry{Name: l.name, Position: p}
		for i, s := range said {
			fmt.Fprintf(w, "%.12s %s: %s\n", id, l.name, s)
			notes += min(i, 1)
		}
	}
	if len(cp.Containers) == 0 {
		return fmt.Errorf("%s names %d files, none of them the log of a container that is here (%d gone, %d of something else): nothing is written; "+
			"is it the DB of another tail, or are the logs in another directory (-containers)?", tail, len(rows), gone, others)
	}
	if err := write(db, tail, &cp); err != nil {
		return err
	}
	if killed(tail) {
		notes++
		fmt.Fprintf(w, "note: %s-wal is there, so Fluent Bit was killed: what it read last may come twice\n", tail)
	}
	fmt.Fprintf(w, "%s: %d containers; %d are gone, %d files are not containers' logs, %d notes above begin with \"note\"\n", db, len(cp.Containers), gone, others, notes)
	return nil
}

// write makes the file of DB, for the user that tail's database belongs to.
func write(db, tail string, cp *checkpoint.Content) (err error) {
	text, err := json.MarshalIndent(cp, "", " ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(db, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", db, err), os.Remove(db))
		}
	}()
	if _, err := f.Write(append(text, '\n')); err != nil {
		return err
	}
	if fi, err := os.Stat(tail); err != nil {
		return err
	} else if st, ok := fi.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return fmt.Errorf("it cannot be given to the owner of %s: %w", tail, err)
		}
	}
	return f.Sync()
}
