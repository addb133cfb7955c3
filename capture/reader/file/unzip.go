package file

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
)

// unzip reads a compressed file, forward only.
type unzip struct {
	z    *gzip.Reader
	n    int64  // bytes read
	kept []byte // the last of them, which were not consumed
	torn bool   // it ended before its end
}

// read reads behind off, which is not before what is kept.
func (u *unzip) read(f *os.File, buf []byte, off int64) ([]byte, error) {
	if u.z == nil && !u.torn {
		z, err := gzip.NewReader(f)
		u.z, u.torn = z, err != nil
	}
	if u.torn { // a crash of the Engine left it like this
		return buf[:copy(buf, u.kept)], io.EOF
	}
	if skip := off - u.n; skip > 0 {
		n, err := io.CopyN(io.Discard, u.z, skip)
		if u.n += n; err != nil {
			u.torn = !errors.Is(err, io.EOF)
			return nil, io.EOF
		}
	}
	kept := copy(buf, u.kept)
	n, err := io.ReadFull(u.z, buf[kept:])
	u.n += int64(n)
	if err != nil {
		_, why := u.z.Read(nil) // ReadFull says the same of an end and of a tear
		u.torn = !errors.Is(why, io.EOF)
		err = io.EOF // there is no more, either way
	}
	return buf[:kept+n], err
}

// keep keeps what was read and not consumed for the next read.
func (u *unzip) keep(b []byte) { u.kept = append(u.kept[:0], b...) }
