// Package dockertest is a fake Docker Engine for tests, demos and scale runs: the read-only part of the Engine's HTTP API over a unix socket,
// with containers whose output is written by the test, and with faults that can be switched while it runs.
//
//	e := dockertest.Start(t)
//	c := e.Run(dockertest.Container{Name: "web"})
//	c.Stdout("hello")
//	client.NewClientWithOpts(client.WithHost(e.Host()), ...)
//
// What it imitates is what dockerd does and not what its documentation says: how lines are split and stamped, what tail and since select,
// which events a lifetime has and in which order, what json-files look like. It speaks as Engine 28.5 unless [Engine.SetAPIVersion] says otherwise, or [WithPodman].
//
// cmd/fakeengine serves a few chatty containers from the command line.
//
// Reading the source: engine.go (life of the Engine), server.go (routes and versions), api.go (list, inspect), container.go (lifetimes),
// log.go (what is stored), frame.go and follow.go (how it is sent), events.go, jsonfile.go (log files on disk), streams.go and faults.go (faults),
// podman.go (what another Engine does otherwise),
// watch.go (counters and waiting).
package dockertest
