package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// What a log's files are called says little of what they hold: the Engine
// leaves a rotated file that it does not keep any more, logrotate moves or
// copies the log and truncates it, an editor saves it as a new file, a backup
// is put in its place. So before a file is read on, its content is compared
// with what was delivered.

// place finds where in a file begins what follows the position, which is at
// the end of the file before. In an empty file it is not known yet.
//
// As a rule the file is new, and that is its beginning: its first record is
// not older than the position, or the Engine's log rotation gave it its place,
// and nothing like it was met before. Else it may be or have a copy of what was
// read: then it goes on behind the anchor, and where that is missing behind
// what has its time.
func (l *fileLog) place(ctx context.Context, f *logFile) error {
	size := f.size()
	if size == 0 {
		return nil
	}
	first, head, ok := f.beginning()
	if !ok && size < headSize {
		return nil // it holds no record yet: who writes may still do so in the one before
	}
	f.head, f.placed = head, true
	target, met := l.Position(), l.known.has(head)
	l.known.add(head)
	off := int64(0)
	switch {
	case target.Kind != position.FromAnchor, !ok && !beginsWithNULs(f.f):
	case ok && !met && (f.trusted || first > target.Anchor.Time()):
	case met && f.rotated > 0:
		off = size
	default:
		m := match{target: &target}
		end, err := l.each(ctx, []*logFile{f}, offset{}, m.feed)
		if err != nil {
			return fmt.Errorf("reading the log file: %w", err)
		}
		switch {
		case m.whole:
			off = m.at.off
		case ok && !met && (first > target.Anchor.Time()-position.Inversion || first == decode.Undated):
			// The std streams are stamped each on its own.
		case m.isNew:
			off = m.newer.off
		case !ok: // nothing that it holds is known
		default:
			off = end.off
		}
		if off > 0 {
			l.Say.Debug("a log file was read before, in whole or in part", "file", f.f.Name(), "from", off)
		}
	}
	if err := f.startAt(off); err != nil {
		return fmt.Errorf("reading the log file: %w", err)
	}
	if off == 0 {
		f.skipHole()
	}
	return nil
}

// followed says whether a later file holds what follows the first: then nobody
// writes to that any more. Files between that hold nothing are closed.
func (l *fileLog) followed(ctx context.Context) (bool, error) {
	for i := 1; i < len(l.files); {
		f := l.files[i]
		if !f.placed {
			if err := l.place(ctx, f); err != nil {
				return false, err
			}
		}
		switch {
		case f.placed && f.size() > f.off:
			l.drop(1, i)
			return true, nil
		case f.placed && f.rotated > 0: // left over from long ago, or a copy
			if f.counted {
				l.opened--
			}
			l.drop(i, i+1)
		default:
			i++
		}
	}
	return false, nil
}

// maxCopies is how many files are looked at for a copy.
const maxCopies = 16

// copyOf opens a copy of the file in which the newest record of the anchor was
// read, ready to be read on behind that; nil if there is none. It may have any
// name that begins like the log's.
func (l *fileLog) copyOf(target *position.Position) *logFile {
	dir, name := filepath.Split(l.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	looked := 0
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), name) || e.Name() == name || !e.Type().IsRegular() {
			continue
		}
		if looked++; looked > maxCopies {
			break
		}
		c, err := openLogFile(dir + e.Name())
		if err != nil {
			continue
		}
		if strings.HasSuffix(e.Name(), ".gz") {
			c.zip, c.final = &unzip{}, true
		}
		c.rotated, c.placed, c.cri = 1, true, l.cut.CRI
		if c.verify() == nil && c.size() >= target.Place.End && c.holds(target) && c.startAt(target.Place.End) == nil {
			return c
		}
		c.close()
	}
	return nil
}
