package streams

import (
	"context"
	"net/http"

	"fluent-bit-docker-logs/capture/dockertest/store"
	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Request is one log request while it is served.
type Request struct {
	streams *Streams // of the container
	plan    plan
}

// Refuse remembers a log request that is refused.
func Refuse(s *Streams, q LogQuery) { s.queries.note(q) }

// Begin is what happens to a request before it is served.
// The Request knows what is ordered for it from then on.
func Begin(s *Streams, q LogQuery) *Request {
	s.queries.note(q)
	r := &Request{streams: s, plan: plan{cutAfter: -1}}
	s.announce(q)
	s.above.announce(q)
	s.take(&r.plan)
	s.above.take(&r.plan)
	return r
}

// Serve answers it with the log as asked for.
func (r *Request) Serve(ctx context.Context, w http.ResponseWriter, log *store.Log, asked store.Request, headOnly bool) {
	followers := log.Followers()
	asked.Silent = r.plan.silent
	f := followers.Join(asked)
	// What is written from now on is sent to it.
	r.streams.count(1, asked.Follow)
	r.streams.changes.Wake()
	defer followers.Leave(f, func() {
		r.streams.count(-1, asked.Follow)
		r.streams.changes.Wake()
	})
	w.WriteHeader(http.StatusOK)
	if headOnly {
		return
	}
	out := &body{ctx: ctx, w: w, left: r.plan.cutAfter, rate: r.rate}
	if out.Flush() == nil && wait.Sleep(ctx, r.plan.wait) {
		followers.Send(ctx, f, out, r.streams.changes.Wake)
	}
}

// rate is how many bytes a second may be sent, 0: any.
func (r *Request) rate() int {
	if own := r.streams.rate(); own > 0 {
		return own
	}
	return r.streams.above.rate()
}
