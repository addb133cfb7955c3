package file

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
)

// errMoving: log rotation is too fast for a look at all files at once.
var errMoving = errors.New("the log files are being moved")

// logFiles opens the files of a log that are newer than last, oldest first, none if
// that is the newest; all of them if last is nil or not among them any more, which
// found says.
func logFiles(path string, last *logFile, cri bool) (files []*logFile, found bool, err error) {
	for range 10 {
		files, found, err = listLogFiles(path, last, cri)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || len(files) == 0 {
			return nil, false, err
		}
		// Between two rotations the order is certain.
		if inode, err := inodeOf(path); err == nil && inode == files[0].inode {
			slices.Reverse(files)
			return files, found, nil
		}
		closeAll(files)
		err = errMoving
	}
	return nil, false, err
}

// listLogFiles is one attempt of logFiles, newest first. It goes the way in
// which log rotation moves the files: so a file that was moved meanwhile is
// met twice, but none is passed over.
func listLogFiles(path string, last *logFile, cri bool) (files []*logFile, found bool, err error) {
	// A log rotation that is under way leaves one hole in the numbering.
	for k, absent := 0, 0; absent < 2; k++ {
		var l *logFile
		if k == 0 {
			l, err = openLogFile(path)
		} else {
			l, err = openRotated(path, k)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && k > 0:
			absent++
			continue
		case err != nil:
			closeAll(files)
			return nil, false, err
		}
		absent = 0
		if last != nil && last.is(l) {
			l.close()
			return files, true, nil
		}
		if slices.ContainsFunc(files, func(o *logFile) bool { return o.is(l) }) {
			l.close()
			continue
		}
		l.rotated, l.cri = k, cri
		files = append(files, l)
	}
	return files, false, nil
}

func closeAll(files []*logFile) {
	for _, l := range files {
		if l != nil {
			l.close()
		}
	}
}

func inodeOf(path string) (uint64, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}
