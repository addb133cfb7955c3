// Package serve serves metrics, health and a page over HTTP. An address has one listener, for all inputs of the
// process that name it.
//
// What it tells of an input it asks of an [Instance], at the moment that it is asked for; of one request, or of one look at an
// input, all comes from one view. It only reads, and what a client may cost is bounded: connections, requests at a time, bytes
// and time.
//
// It knows addresses, clients and answers. It must not know what an input does, nor how.
//
// Locks, in order: endpoints.mu (an address comes or goes), endpoint.mu (who is shown there); connTable.mu is never held with
// them. An instance is asked with none of them held.
package serve
