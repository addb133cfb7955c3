// Package fdguard keeps the process's open file descriptors within a limit.
//
// The process is Fluent Bit's: one that has none free can neither read a log nor write a chunk. So the guard counts them, says
// when there are many, and above the limit gives up descriptors of the capture, the cheapest first.
//
// It knows how many there are, and what each step brought. It must not know what a stream, a log or a connection is: it names in
// [Streams] and [Client] what it has others do, and is told its figures by functions.
//
// One lock, within counter: of the directory that lists the descriptors.
package fdguard
