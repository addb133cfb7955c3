package logfile

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/podman"
)

// Rotate is a log rotation. It returns how many records fell off the oldest file.
func (j *File) Rotate() (lost int) {
	j.Flush()
	j.settle()
	j.size = 0
	if j.path != "" {
		j.rotateFiles()
	}
	j.counts = append(j.counts, 0)
	if over := len(j.counts) - j.opts.MaxFile; over > 0 {
		for _, n := range j.counts[:over] {
			lost += n
		}
		j.counts = append(j.counts[:0], j.counts[over:]...)
	}
	return lost
}

func (j *File) rotateFiles() {
	_ = j.f.Close()
	if j.opts.CRI {
		f, err := podman.Replace(j.path)
		if err != nil {
			panic(fmt.Sprintf("dockertest: log rotation: %v", err))
		}
		j.use(f)
		return
	}
	ext := ""
	if j.opts.Compress {
		ext = ".gz"
	}
	switch {
	case j.opts.MaxFile > 1:
		_ = os.Remove(j.path + "." + strconv.Itoa(j.opts.MaxFile-1) + ext) // or it would be written over when there are two
		for i := j.opts.MaxFile - 1; i > 1; i-- {
			_ = os.Rename(j.path+"."+strconv.Itoa(i-1)+ext, j.path+"."+strconv.Itoa(i)+ext)
		}
		_ = os.Rename(j.path, j.path+".1")
	default:
		switch j.opts.Single() {
		case Renamed:
			_ = os.Rename(j.path, j.path+".1")
		case Unlinked:
			_ = os.Remove(j.path)
		}
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o640)
	if err != nil {
		panic(fmt.Sprintf("dockertest: log rotation: %v", err))
	}
	j.use(f)
	if j.opts.Compress && j.opts.MaxFile > 1 {
		done := make(chan struct{})
		j.compressed = done
		last := time.Unix(0, j.last).UTC()
		go func() {
			defer close(done)
			_ = compressFile(j.path+".1", last)
		}()
	}
}

// compressFile makes name.gz and then removes name. For a while there are both.
func compressFile(name string, last time.Time) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(name+".gz", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	zw := gzip.NewWriter(out)
	zw.Extra, _ = json.Marshal(map[string]time.Time{"lastTime": last})
	if _, err := io.Copy(zw, in); err != nil {
		return err
	}
	if err := zw.Close(); err != nil {
		return err
	}
	return os.Remove(name)
}

// settle waits for the last rotated file to be compressed.
func (j *File) settle() {
	if j.compressed != nil {
		<-j.compressed
	}
}
