package dockertest

import "math"

// damage is a place in a log that holds no record: NULs, or half of one. The record behind it is on the same line, and is lost with it.
type damage struct {
	at       uint64 // the record that is lost
	buffered uint64 // how many records behind it the decoder of 20.10 loses
}

// nextDecoder is how many records the decoder of 20.10 has buffered.
const nextDecoder = 27

// Damage makes the next record stored unreadable, and the log behind it to be read as the Engine's version does: 20.10 goes on behind what
// its decoder had buffered, 23 to 26 send an error and end, later ones end the file: a follow goes on with what is written from then on. A
// tail that begins behind it is whole. Nobody is to follow the log at that moment.
func (c *Ctr) Damage() {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.damages = append(c.log.damages, damage{at: c.log.end(), buffered: nextDecoder})
}

func (l *logStore) damageAt(pos uint64) *damage {
	for i := range l.damages {
		if d := &l.damages[i]; d.at == pos && pos < l.end() {
			return d
		}
	}
	return nil
}

// meet is what a reader does at a damage. end is where the log ends.
func (f *follower) meet(buf []byte, d *damage, end uint64) (_ []byte, over bool) {
	switch {
	case f.api < api142:
		f.pos = min(d.at+1+d.buffered, end)
	case f.api < api147:
		line := []byte("Error grabbing logs: invalid character '\\x00' looking for beginning of value\n")
		return AppendFrame(buf, Systemerr, line), true
	case f.end != math.MaxUint64:
		return buf, true
	default:
		f.pos = end
	}
	return buf, false
}
