// Package outbox holds records between the streams and Fluent Bit's thread.
//
// It is bounded in bytes, keeps order, and keeps each batch until that is known to
// be safe. With each batch go the positions that it stands for: they are committed
// with its acknowledgement, and not before.
//
// It knows positions and seats. It must not know streams, containers or what is in
// a record.
//
// Outbox.Lock is the one lock on the way of a line. A source is called, and what is
// its own may be guarded, with it held; nothing waits under it.
package outbox
