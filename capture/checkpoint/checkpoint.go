package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/say"
)

// Version is that of the file's format. A file of another version
// is set aside, because reading it wrong would lose or repeat lines.
const Version = 1

// Content is the content of the file that DB names.
type Content struct {
	Version int       `json:"version"`
	Saved   time.Time `json:"saved"`
	// FirstStart is when the capture first began, by the Engine's clock:
	// containers created since then are read from their beginning.
	FirstStart time.Time        `json:"first_start"`
	Containers map[string]Entry `json:"containers"` // by id
	// Others are the containers that exist and are not captured, by id. One that
	// is in neither was created since. Absent where an older version saved it.
	Others map[string]Other `json:"others,omitzero"`
}

// Other is a container that is not captured.
type Other struct {
	// Stopped: it is left out because it did not run; its last run was Last.
	Stopped bool              `json:"stopped,omitempty"`
	Last    container.LastRun `json:"last_run,omitzero"`
	// Unwanted is when it was last seen not to be wanted, by the Engine's clock, in
	// nanoseconds since 1970; 0 if that is not why.
	Unwanted int64 `json:"unwanted,omitempty"`
	seen     bool  // by this run of the agent, and not by one before: it may have been told to capture others
}

// Entry is one container's entry. The name is for people only.
type Entry struct {
	Name     string   `json:"name"`
	Position Position `json:"position"`
}

// Position is a position in the file's form.
type Position struct {
	From  string          `json:"from"` // beginning, time, tail or anchor
	Time  int64           `json:"time,omitempty"`
	Tail  int             `json:"tail,omitempty"`
	Marks []position.Mark `json:"anchor,omitempty"` // oldest first
	Nth   uint32          `json:"nth,omitempty"`    // of those with the newest one's time
	Lost  bool            `json:"lost,omitempty"`   // time is that of the last record delivered
	Skip  [2]uint32       `json:"skip,omitzero"`    // stdout, stderr
	Next  position.Mark   `json:"next,omitzero"`
	Cut   [2]int64        `json:"cut,omitzero"` // stdout, stderr
	File  decode.Place    `json:"file,omitzero"`
}

// SavedMarks is how many marks of an anchor are saved. In memory there are
// more, because equal records that follow each other count as one.
const SavedMarks = 4

var posNames = map[position.Kind]string{position.FromBeginning: "beginning", position.FromTime: "time", position.FromTail: "tail", position.FromAnchor: "anchor"}

// PositionOf is a position in the form in which it is saved.
func PositionOf(p *position.Position) Position {
	s := Position{
		From: posNames[p.Kind],
		Time: p.TS,
		Tail: p.Tail,
		Lost: p.Lost && p.Kind == position.FromTime,
		Skip: [2]uint32(p.Skip[decode.Stdout:]),
		Next: p.Next,
		Cut:  [2]int64(p.CutTS[decode.Stdout:]),
		File: p.Place,
	}
	if newest := p.Anchor.Newest(); p.Kind == position.FromAnchor && newest.TS%int64(time.Second) == 0 {
		s.Nth = p.Anchor.Nth // with nanoseconds it is of no use
	}
	for i := min(p.Anchor.N, SavedMarks); i > 0 && p.Kind == position.FromAnchor; i-- {
		s.Marks = append(s.Marks, *p.Anchor.At(i - 1))
	}
	return s
}

// Restore is the position that was saved. It fails where that makes no sense.
func (s *Position) Restore() (p position.Position, err error) {
	for kind, name := range posNames {
		if name == s.From {
			p = position.Position{Kind: kind, TS: s.Time, Tail: s.Tail, Lost: s.Lost, Place: s.File, Next: s.Next}
			for _, m := range s.Marks {
				p.Anchor.Restore(m)
			}
			p.Anchor.Nth = s.Nth
			copy(p.Skip[decode.Stdout:], s.Skip[:])
			copy(p.CutTS[decode.Stdout:], s.Cut[:])
			if (kind == position.FromAnchor) != (p.Anchor.N > 0) || (kind == position.FromTail && p.Tail < 1) || p.Next.Std > decode.Stderr {
				break
			}
			return p, nil
		}
	}
	return p, fmt.Errorf("position %+v makes no sense", *s)
}

// File owns the file that DB names, from Open to Close.
type File struct {
	path    string
	log     *slog.Logger
	lock    *os.File // nil while the lock's file cannot be made
	journal journal
	ahead   bool // when it was opened the journal had more than the file

	mu      sync.Mutex // held while anything is written
	left    bool       // guarded by mu: another owner may have it
	Trouble say.Trouble
}

// errInUse refuses a second owner of a checkpoint.
var errInUse = errors.New("another instance uses it, and two would overwrite each other's positions: give each [INPUT] a DB of its own")

const cannotSave = "option DB: positions cannot be saved, it is tried again; capture goes on"

// errSpoiled is of a file that was read and cannot be understood.
var errSpoiled = errors.New("it cannot be understood")

// Open locks the file and reads it; nil: it holds nothing. A file that cannot
// be understood is set aside with an error in the log; that its place cannot be
// written is a warning. A file that is in use, or that cannot be read, is an
// error: it stays as it is.
func Open(path string, log *slog.Logger) (*File, *Content, error) {
	path = followLinks(path) // a save would replace the link
	f := &File{path: path, log: log, Trouble: say.Trouble{What: "saving the positions"}, journal: journal{path: path + ".journal"}}
	if err := f.acquire(); errors.Is(err, errInUse) {
		return nil, nil, fmt.Errorf("option DB: value %q: %w", path, err)
	} else if err != nil {
		log.Warn(cannotSave, "file", path, "error", err)
	}
	f.removeLeftovers()
	cp, err := f.read()
	if err != nil && !errors.Is(err, errSpoiled) {
		return nil, nil, errors.Join(fmt.Errorf("option DB: value %q: what it holds cannot be read, and without it lines would be lost or come twice: %w", path, err), f.Close())
	}
	if err != nil {
		aside := fmt.Sprintf("%s.damaged-%d", path, time.Now().Unix())
		if moved := os.Rename(path, aside); moved != nil {
			aside = "nowhere: " + moved.Error()
		}
		log.Error("option DB: the file cannot be used and is set aside; Start_From applies as at a first start", "file", path, "aside", aside, "error", err)
		return f, nil, nil
	}
	if cp != nil {
		f.replay(cp)
	}
	return f, cp, nil
}

// replay takes over what was committed since cp was saved. Where that cannot
// be read, lines come twice.
func (f *File) replay(cp *Content) {
	good, err := f.journal.replay(cp)
	f.ahead = good > 0
	if err == nil && f.lock != nil {
		if err := f.journal.resume(good); err != nil {
			f.log.Warn(cannotSave, "file", f.journal.path, "error", err)
		}
	}
	if err != nil {
		f.log.Warn("option DB: what was committed since the file was saved cannot be read, some lines come twice", "file", f.journal.path, "error", err)
	}
}

func (f *File) read() (*Content, error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file struct {
		Content
		Containers map[string]json.RawMessage `json:"containers"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpoiled, err)
	}
	cp := &file.Content
	if cp.Version != Version {
		return nil, fmt.Errorf("%w: version %d, this plugin knows version %d", errSpoiled, cp.Version, Version)
	}
	if cp.FirstStart.IsZero() {
		return nil, fmt.Errorf("%w: first_start is missing", errSpoiled)
	}
	cp.Containers = make(map[string]Entry, len(file.Containers))
	for id, text := range file.Containers {
		var c Entry
		err := json.Unmarshal(text, &c)
		if err == nil {
			_, err = c.Position.Restore()
		}
		if err != nil {
			f.log.Error("option DB: the position of a container cannot be understood; Start_From applies to it as at a first start", "file", f.path, "id", container.ShortID(id), "error", err)
			continue
		}
		cp.Containers[id] = c
	}
	return cp, nil
}

// Peek reads what an agent would find, and takes no lock.
func Peek(path string) (*Content, error) {
	f := &File{path: path, log: slog.New(slog.DiscardHandler), journal: journal{path: path + ".journal"}}
	cp, err := f.read()
	if err == nil && cp != nil {
		_, err = f.journal.replay(cp)
	}
	return cp, err
}

// Save replaces the file in one step. At any moment it is either the old or the
// new one, whole and on disk.
func (f *File) Save(cp *Content) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left {
		return errInUse
	}
	if err := f.acquire(); err != nil {
		return err
	}
	b, err := json.MarshalIndent(cp, "", " ")
	if err != nil {
		return err
	}
	err = renameio.WriteFile(f.path, append(b, '\n'), 0o600, renameio.WithTempDir(filepath.Dir(f.path)))
	if errors.Is(err, unix.EBUSY) {
		err = fmt.Errorf("%w: a file that is mounted by itself cannot be replaced, mount its directory", err)
	}
	if err != nil {
		return err
	}
	if err := f.journal.begin(cp.Saved); err != nil {
		return fmt.Errorf("%s: %w", f.journal.path, err)
	}
	return nil
}

// Write writes positions down that were committed since the last save.
func (f *File) Write(entries []Commit) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := errInUse
	if !f.left {
		err = f.journal.add(entries)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.journal.path, err)
	}
	return nil
}

// Full says whether the journal is: the next save is due.
func (f *File) Full() bool { return f.journal.full() }

// IsAhead says whether the journal had more than the file. That was when it was
// opened.
func (f *File) IsAhead() bool { return f.ahead }

// Finish removes the journal, after a last save. Nothing is left to be said by
// then.
func (f *File) Finish() error { return f.journal.remove() }

// Abandon gives up the lock although somebody may still come to write. It does
// not wait for one whose disk hangs: then the lock stays.
func (f *File) Abandon() {
	if f.mu.TryLock() {
		defer f.mu.Unlock()
		f.left = true
		_ = f.Close()
	}
}

// Close gives up the lock.
func (f *File) Close() error {
	err := f.journal.close()
	if f.lock == nil {
		return err
	}
	return errors.Join(err, f.lock.Close())
}
