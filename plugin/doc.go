// Command plugin is in_docker_logs.so, an input of Fluent Bit.
//
// It captures the logs of all containers of a Docker Engine: it binds package
// capture to Fluent Bit and has no other job. main.go has the calls that Fluent Bit
// makes, flb.h what is known of its ABI. Each call finds its instance by the thread
// it comes on (threads.go), and must not panic into Fluent Bit (panics.go). An
// instance (instance.go) appends batches (flight.go) and acknowledges what Fluent Bit
// holds in chunks (ack.go).
//
// It knows Fluent Bit's calls, counters and chunks. It must not know how a log is
// read: it asks the interface source, as Fluent Bit is asked by the interface host.
//
// An instance is used on its own thread only, but for wake. Locks, each on its own:
// that of the table of instances, of an instance's doorbell, of the lines of its log.
package main
