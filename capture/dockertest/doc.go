// Package dockertest is a fake Docker Engine for tests and scale runs.
// It is the read-only part of the Engine's HTTP API over a unix socket,
// with containers whose output is written by the test, and with faults that can be switched while it runs.
//
//	e := dockertest.Start(t)
//	c := e.Run(dockertest.Container{Name: "web"})
//	c.Stdout("hello")
//	client.NewClientWithOpts(client.WithHost(e.Host()), ...)
//
// What it imitates is what dockerd does and not what its documentation says: how lines are split and stamped, what tail and since select,
// which events a lifetime has and in which order, what json-files look like. It speaks as Engine 28.5 unless [Engine.SetAPIVersion] says
// otherwise, or [WithPodman]. cmd/fakeengine serves a few chatty containers from the command line.
//
// It knows the rooms below it, and wires them; they must not know those above: serve (routes, answers and faults in their place), containers
// (lives), streams (log requests and what befalls them), store (a log and who reads it), listen (sockets), events, logfile (files on disk),
// wire (frames, timestamps, JSON lines), podman (what it does otherwise), version, wait. An [Engine] is made of their types, whose methods it
// has: [containers.Set], [events.Hub], [listen.Sockets], [serve.Faults], [serve.Latency], [serve.Counts], [streams.Streams]. It has no lock of its own.
//
// Locks: that of a container's life is held while others are taken; those are taken each on its own, but for a log's, with which the version
// is asked, and the clock.
package dockertest
