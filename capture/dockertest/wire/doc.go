// Package wire is how records look as bytes.
//
// They do in the frames of a log request and in the lines of a json-file. It knows what dockerd does
// (daemon/logger/jsonfilelog/jsonlog, the stdcopy frames). It must not know files, requests or containers. Everything appends to a
// buffer of the caller's. There is no lock.
package wire
