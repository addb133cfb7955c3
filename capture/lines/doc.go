// Package lines makes records of a log's lines, in order, each once.
//
// A Writer is given the records of a log (decode.Entry) by whatever reads it. It
// joins the pieces of long lines and the lines of stack traces, and appends what is
// complete to the outbox with the position behind it. What is not complete is read
// again after a restart: Snapshot is the place that goes on from, and knows what is
// to be skipped there.
//
// It knows entries, positions and the outbox, and a container's few traits that
// change how its lines are stored. It must not know how a log is read (it asks for a
// Course alone), what a record looks like (Encoder), the Engine, or a stream.
//
// Its only lock is that of the outbox, which its caller holds where a comment says
// so. A line costs no allocation, no atomic operation and no call of the kernel.
package lines
