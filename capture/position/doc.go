// Package position holds a place in a log, and finds it again.
//
// A position is the last records that were consumed (Anchor), not a count or a
// time: the Engine moves its files, and clocks step. Resync finds one in a log that
// was opened anew. Trail knows what a follow has sent since, and so what an Engine
// sends twice or leaves out.
//
// It knows entries of package decode. It must not know containers, streams or
// requests. All are values without a lock: who keeps one guards it.
package position
