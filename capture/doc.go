// Package capture reads the logs of every container of a Docker Engine. It hands them over as msgpack batches, each
// line once and in order, whatever stops and starts in between.
//
// The way of one line, without a channel or a goroutine between the read and
// the record:
//
//	Engine ──> reader (reader/api, reader/file)  bytes into one reused buffer
//	             │  decode/           cut frame, timestamp and text in place
//	             ▼
//	           writer (lines/)         with the outbox locked: join partials and stack traces, remember the position (position/)
//	             │  record/            append msgpack: the only copy
//	             ▼
//	           outbox (outbox/)         open batch of the tag -> sealed -> taken
//	             │                     a full outbox blocks the reader
//	             ▼
//	           Next / Appended / Ack   the Fluent Bit thread
//
// Around it: package discovery turns the Engine's list and events into what should
// be read, package stream keeps a stream for each container.
// Discovery, the streams, the writer of the checkpoint and the guard of file
// descriptors are tasks of one supervisor (package supervise), which starts again
// what panics or gives no heartbeat.
//
// What goes on is counted (metrics.go) or read off a view that is taken when
// somebody asks (view.go, package status), and served over HTTP by one listener
// for all inputs of the process (package serve; package page draws what people
// look at).
//
// # Reading the source
//
// Start with collector.go, which owns every goroutine, then follow the picture
// above. What it is made of lies below, in packages of its own:
// container, decode, page, say and supervise; position, record and inotify; engine, the only
// user of the Engine's client library, outbox, checkpoint and fdguard;
// lines and discovery; status; serve, which asks what it tells of an interface;
// reader, with what reads files and what reads through the API; stream. What is here
// reads the options, makes these with what each needs of the others, and hands over
// what they bring.
//
// It knows the options, and wires the rooms. It must not know Fluent Bit, which asks
// for batches, nor how a log is read.
//
// The outbox's lock is the only one on the way of a line; a stream's position is
// guarded by it, so that a sealed batch and the positions it stands for always
// agree.
package capture
