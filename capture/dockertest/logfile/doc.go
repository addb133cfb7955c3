// Package logfile writes the log files of one container.
//
// It does as the Engine's drivers do (daemon/logger/loggerutils/logfile.go). It knows rotation, compression and what befalls files:
// truncation from outside, half a record, garbage. It must not know who reads them, nor what log requests show. It has no lock: [File] is
// guarded by that of the log it belongs to; rotated files are compressed by a goroutine that the next rotation and Close wait for.
package logfile
