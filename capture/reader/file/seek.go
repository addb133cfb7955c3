package file

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// firstWindow is how many bytes back a log's files are searched for a
// position at first; further times as many after that did not suffice.
const firstWindow = 64 << 10

// begin finds in the files where the capture begins, if that is not known yet.
func (l *fileLog) begin(ctx context.Context) error {
	target := l.Position()
	if !target.ToBegin() {
		return nil
	}
	for window := int64(firstWindow); ; window *= position.Further {
		from := offset{}
		var err error
		switch {
		case target.Kind == position.FromTail:
			from, err = l.tail(target.Tail + position.MoreHeads)
		case !target.Lost:
			from = l.back(window)
		}
		if err != nil {
			return err
		}
		look := l.FirstLook(&target, from == offset{})
		_, err = l.each(ctx, l.files, from, func(_ offset, e *decode.Entry) error {
			if look.Feed(e) {
				return errFurtherBack
			}
			if look.Complete() {
				return errFound
			}
			return nil
		})
		switch {
		case errors.Is(err, errFurtherBack):
			continue
		case err != nil && !errors.Is(err, errFound):
			return err
		}
		return l.BeginAt(ctx, look.End())
	}
}

// seek finds the stream's position in the files. What is older is closed.
func (l *fileLog) seek(ctx context.Context) error {
	target := l.Position()
	var at offset
	if target.Kind != position.FromBeginning {
		var err error
		var ok bool
		if at, ok = l.atPlace(&target); !ok {
			if at, err = l.search(ctx, &target); err != nil {
				return err
			}
		}
	} else if areEmpty(l.files) {
		l.WasEmpty(ctx)
	}
	for _, f := range l.files[:at.file] { // they may be met again
		l.meet(f)
	}
	l.drop(0, at.file)
	for i, f := range l.files {
		f.placed = i == 0
		if i > 0 {
			at.off = 0
		}
		if err := f.startAt(at.off); err != nil {
			return err
		}
	}
	if l.moved != nil {
		l.files[0].placed = false
		l.files, l.moved = append([]*logFile{l.moved}, l.files...), nil
	}
	return nil
}

// areEmpty says whether the files hold nothing.
func areEmpty(files []*logFile) bool {
	return !slices.ContainsFunc(files, func(f *logFile) bool { return f.zip != nil || f.size() > 0 })
}

// choose closes the files that are no part of the log, unless the position is
// known to be in one of them.
func (l *fileLog) choose() {
	keeps := max(1, l.Container().MaxFile)
	for _, f := range l.files {
		f.trusted = f.rotated < keeps
	}
	if l.Position().Kind != position.FromAnchor {
		l.leaveOut(keeps)
	}
}

// leaveOut closes the files that are no part of the log: the Engine shows no
// more rotated files than it keeps, whatever others lie there. If the current
// file is empty, the writer may go on in the one that was moved away last: that
// one is kept, read to its end.
func (l *fileLog) leaveOut(keeps int) {
	n := 0
	for n < len(l.files)-1 && l.files[n].rotated >= keeps {
		n++
	}
	if last := l.files[max(0, n-1)]; n == len(l.files)-1 && n > 0 && last.zip == nil && l.files[n].size() == 0 {
		if err := last.startAt(last.size()); err == nil {
			last.placed, n = true, n-1
			l.moved = last
		}
	}
	l.drop(0, n)
	if l.moved != nil {
		l.files = l.files[1:]
	}
}

// atPlace looks at the place where the newest record of the anchor was read, for
// it to be there still.
func (l *fileLog) atPlace(target *position.Position) (offset, bool) {
	for i, f := range l.files {
		if f.inode == target.Place.Inode && f.zip == nil {
			return offset{i, target.Place.End}, f.holds(target)
		}
	}
	return offset{}, false
}

// search looks for the anchor in more and more of the files. It takes the
// newest place that agrees: a copy of a file holds it too.
func (l *fileLog) search(ctx context.Context, target *position.Position) (offset, error) {
	for window := int64(firstWindow); ; window *= position.Further {
		from := l.back(window)
		whole := from == offset{}
		m := match{target: target, within: !whole}
		if _, err := l.each(ctx, l.files, from, m.feed); err != nil {
			return offset{}, err
		}
		switch {
		case m.best == target.Anchor.N, whole && m.best > 0: // or the log begins behind the anchor's oldest marks
			return m.at, nil
		case !whole:
			continue
		}
		c := l.copyOf(target)
		if c == nil {
			return offset{}, l.Gap(ctx, &target.Anchor)
		}
		l.lost(slog.LevelWarn, truncatedUnread, nil)
		for _, f := range l.files {
			f.trusted = false
		}
		l.files = append([]*logFile{c}, l.files...)
		return offset{0, c.off}, nil
	}
}

// tail is the place before the last n records.
func (l *fileLog) tail(n int) (offset, error) {
	for i := len(l.files) - 1; i >= 0; i-- {
		off, found, err := l.files[i].tail(n)
		if err != nil || found == n {
			return offset{i, off}, err
		}
		n -= found
	}
	return offset{}, nil
}
