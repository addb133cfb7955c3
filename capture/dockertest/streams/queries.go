package streams

import (
	"sync"
	"time"
)

// LogQuery is a request for a log as the client sent it.
type LogQuery struct {
	Container  string // id
	Follow     bool
	Timestamps bool
	Stdout     bool
	Stderr     bool
	Tail       string // as sent: "", "all" or a number
	Since      string // as sent: seconds with up to nine decimals
	Until      string
	At         time.Time // by the Engine's clock
}

// kept bounds what is remembered. Twice as many are held before the older half goes.
const kept = 1 << 16

// Queries are the log requests that were made. The zero value is ready.
type Queries struct {
	mu  sync.Mutex
	all []LogQuery
}

// note remembers one.
func (q *Queries) note(query LogQuery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == 2*kept {
		q.all = append(q.all[:0], q.all[kept:]...)
	}
	q.all = append(q.all, query)
}

// of are those for the container, for any if it is "".
func (q *Queries) of(container string) (qs []LogQuery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, one := range q.all {
		if container == "" || one.Container == container {
			qs = append(qs, one)
		}
	}
	return qs
}

// ForgetQueries drops what LogQueries remembers.
func (q *Queries) ForgetQueries() {
	q.mu.Lock()
	q.all = nil
	q.mu.Unlock()
}
