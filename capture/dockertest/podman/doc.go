// Package podman is what Podman's socket does otherwise than Docker's.
//
// It speaks Docker's API, and differs (seen at 4.3.1):
//
//   - Each read of conmon's from a container's pipe, of 8 KiB at most, ends a piece of a line, which has a time of its own and no newline.
//   - The API's times are whole seconds. A tail counts lines, and joins the pieces of a line that go on to the line before. since is no gate.
//   - An inspect calls the log driver k8s-file json-file, and shows no log options; a log that cannot be read, or followed, is a 500.
//   - The events die and destroy are chosen as died and remove; destroy is also told as remove.
//   - The file of k8s-file has lines "time stream P|F text". At max-size another one is moved over it.
//
// It knows texts, layouts and how bytes are cut. It must not know the rooms above, which use it where they are told that the Engine is
// Podman. It has no state and no lock.
package podman
