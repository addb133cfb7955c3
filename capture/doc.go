// Package capture reads the logs of every container of a Docker Engine and
// hands them over as msgpack batches, each line once and in order, whatever
// stops and starts in between.
//
// The way of one line, without a channel or a goroutine between the read and
// the record:
//
//	Engine ──> reader (follow.go, poll.go, file.go)  bytes into one reused buffer
//	             │  decode/           cut frame, timestamp and text in place
//	             ▼
//	           stream's writer         with the outbox locked (deliver.go): join partials (line.go) and stack traces (trace.go), remember the position (position/)
//	             │  record.go          append msgpack: the only copy
//	             ▼
//	           outbox (outbox/)         open batch of the tag -> sealed -> taken
//	             │                     a full outbox blocks the reader
//	             ▼
//	           Next / Appended / Ack   the Fluent Bit thread
//
// Around it: discovery (discover.go, compare.go, inquire.go) turns the Engine's
// list and events into the desired set of containers, streams.go keeps a stream for each of them.
// Discovery, the streams, the writer of the checkpoint and the guard of file
// descriptors are tasks of one supervisor (package supervise), which starts again
// what panics or gives no heartbeat. While a log is open, pulse.go sends the
// stream's heartbeats and rotates it.
//
// What goes on is counted (metrics.go) or read off when somebody asks
// (metrics_readings.go, status.go, health.go), and served over HTTP by one
// listener for all inputs of the process (serve.go, pages.go; package page draws
// what people look at).
//
// # Reading the source
//
// Start with collector.go, which owns every goroutine, then follow the picture
// above. What has no need of streams lies below, in packages of its own:
// container, decode, page, say and supervise; position and inotify; engine, the only
// user of the Engine's client library, outbox and checkpoint.
//
// The outbox's lock is the only one on the way of a line; a stream's position is
// guarded by it, so that a sealed batch and the positions it stands for always
// agree.
package capture
