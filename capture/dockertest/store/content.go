package store

// content is what a log holds for those who read it.
type content struct {
	records
	damages  []damage
	unpacked unpacked // of log requests that are open
}

// damageAt is the damage at pos, nil if there is none.
func (c *content) damageAt(pos uint64) *damage {
	for i := range c.damages {
		if d := &c.damages[i]; d.at == pos && pos < c.end() {
			return d
		}
	}
	return nil
}
