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
