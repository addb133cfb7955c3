package file

import "slices"

// heads remembers by what the files begin that were read or left out.
type heads struct {
	ring [16]uint32
	next int
}

func (h *heads) has(head uint32) bool { return head != 0 && slices.Contains(h.ring[:], head) }

func (h *heads) add(head uint32) {
	if head != 0 && !h.has(head) {
		h.ring[h.next%len(h.ring)] = head
		h.next++
	}
}

// unread leaves of files, the newest known not being among them, those that are newer
// than all that are open or were read: where somebody moved that away, older ones are
// there still. The others are closed.
func (h *heads) unread(files, open []*logFile) []*logFile {
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		if f.rotated == 0 {
			continue // the current file may hold what is new, whatever it begins with
		}
		_, head, _ := f.beginning()
		if h.has(head) || slices.ContainsFunc(open, func(o *logFile) bool { return o.is(f) }) {
			closeAll(files[:i+1])
			return files[i+1:]
		}
	}
	return files
}
