package peers

import (
	"context"
	"slices"
)

// Sources of what an agent reads.
const (
	fromFiles = "files"
	fromAPI   = "API"
)

// Peer is an agent that takes the logs of containers.
type Peer struct {
	Name     string // of -peers
	Title    string // in a table
	Source   string // what it reads
	About    string // how it is set up, as far as that matters
	Position string // what it keeps across a restart; empty: nothing
	Ours     bool   // the others with this source are compared with it
	live     bool   // it reads only what is written after its start
	single   bool   // it reads one container, in one go

	// get finds the program, or builds it, and says its version. The error says why it is not there.
	get func(ctx context.Context, say Say) (program, version string, err error)
	// setUp writes its configuration and says how it is started and where its lines are found.
	setUp func(r *run) error

	program string
	version string
	absent  string // why it is not there
}

// find looks for the program.
func (p *Peer) find(ctx context.Context, say Say) (err error) {
	p.program, p.version, err = p.get(ctx, say)
	return err
}

// all are the agents: those that read files, then those that ask the API, ours first.
func all() []*Peer {
	return []*Peer{
		ours("ours-file", "file", fromFiles),
		tail("tail", "Fluent Bit's tail", "by its defaults", ""),
		tail("tail-best", "tail, best settings", "`Buffer_Chunk_Size 1M`, `Buffer_Max_Size 4M`, `File_Cache_Advise Off`",
			"    Buffer_Chunk_Size 1M\n    Buffer_Max_Size 4M\n    File_Cache_Advise Off\n"),
		otelcol(),
		ours("ours-api", "follow", fromAPI),
		dockerLogs(),
		logspout(),
		telegraf(),
		vector(),
	}
}

// choosePeers are those with the names, and ours with their sources.
func choosePeers(names []string) ([]*Peer, error) {
	some, err := chosen(all(), func(p *Peer) string { return p.Name }, names)
	if err != nil {
		return nil, err
	}
	sources := map[string]bool{}
	for _, p := range some {
		sources[p.Source] = true
	}
	return slices.DeleteFunc(all(), func(p *Peer) bool {
		wanted := slices.ContainsFunc(some, func(q *Peer) bool { return q.Name == p.Name }) || p.Ours && sources[p.Source]
		return !wanted
	}), nil
}
