package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"time"

	"fluent-bit-docker-logs/capture/position"
)

// journal holds the positions that were committed since the checkpoint was
// saved, a line for each, the latest last: it is written at each
// acknowledgement, without fsync, so that a killed agent repeats next to
// nothing. It is the journal of one checkpoint, which its first line names;
// that of any other says nothing.
type journal struct {
	path string
	file *os.File // nil: it cannot be written, or the checkpoint was never saved
	size int
}

// maxJournal is the size at which the checkpoint is saved before its time.
const maxJournal = 4 << 20

// journalLine is a line of the journal behind its checksum. The first has Of
// alone, the others ID and the entry.
type journalLine struct {
	Of    *time.Time `json:"of,omitempty"` // checkpoint.Saved
	ID    string     `json:"id,omitempty"`
	Entry *Entry     `json:"entry,omitempty"`
}

// Commit is a position that was committed.
type Commit struct {
	ID, Name string
	Pos      position.Position
}

func appendJournalLine(dst []byte, l *journalLine) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return dst, err
	}
	dst = fmt.Appendf(dst, "%08x ", crc32.ChecksumIEEE(text))
	return append(append(dst, text...), '\n'), nil
}

// parseJournalLine reads a line without its newline.
func parseJournalLine(line []byte) (l journalLine, ok bool) {
	sum, text, found := bytes.Cut(line, []byte{' '})
	if !found || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) {
		return l, false
	}
	return l, json.Unmarshal(text, &l) == nil
}

// replay takes over into cp what the journal has for it, and returns how many
// of its bytes are good: what follows them was torn.
func (j *journal) replay(cp *Content) (good int, err error) {
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for good < len(b) {
		end := bytes.IndexByte(b[good:], '\n')
		if end < 0 {
			return good, nil
		}
		l, ok := parseJournalLine(b[good : good+end])
		switch {
		case !ok:
			return good, nil
		case good == 0:
			if l.Of == nil || !l.Of.Equal(cp.Saved) {
				return 0, nil
			}
		case l.Entry == nil:
			return good, nil
		case !l.Entry.Position.makesSense():
			return good, nil
		default:
			if cp.Containers == nil {
				cp.Containers = make(map[string]Entry)
			}
			cp.Containers[l.ID] = *l.Entry
			delete(cp.Others, l.ID) // it was captured since
		}
		good += end + 1
	}
	return good, nil
}

func (s *Position) makesSense() bool {
	_, err := s.Restore()
	return err == nil
}

// resume goes on behind the good part of the journal as it is.
func (j *journal) resume(good int) error {
	if good == 0 {
		return nil
	}
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := f.Truncate(int64(good)); err != nil {
		return errors.Join(err, f.Close())
	}
	j.file, j.size = f, good
	return nil
}

// begin empties the journal: it is that of the checkpoint saved at that time.
func (j *journal) begin(saved time.Time) error {
	if j.file == nil {
		f, err := os.OpenFile(j.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		j.file = f
	}
	if err := j.file.Truncate(0); err != nil {
		return errors.Join(err, j.close())
	}
	j.size = 0
	line, err := appendJournalLine(nil, &journalLine{Of: &saved})
	if err != nil {
		return errors.Join(err, j.close())
	}
	return j.write(line)
}

// add writes the entries, if the journal can be written.
func (j *journal) add(entries []Commit) (err error) {
	if j.file == nil || j.full() {
		return nil
	}
	var lines []byte
	for i := range entries {
		e := &entries[i]
		if lines, err = appendJournalLine(lines, &journalLine{ID: e.ID, Entry: &Entry{Name: e.Name, Position: PositionOf(&e.Pos)}}); err != nil {
			return err
		}
	}
	return j.write(lines)
}

// write appends; after a failure, which may have torn a line, nothing is
// written before the next begin.
func (j *journal) write(lines []byte) error {
	n, err := j.file.Write(lines)
	j.size += n
	if err != nil {
		return errors.Join(err, j.close())
	}
	return nil
}

func (j *journal) full() bool { return j.size >= maxJournal }

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// remove follows the last save: nothing is left to be said.
func (j *journal) remove() error {
	err := j.close()
	if gone := os.Remove(j.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}
