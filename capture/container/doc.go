// Package container holds what is known of containers, and chooses by it.
//
// It knows the words of Docker, of its log options, and of the labels by which people
// group containers or tell the capture what to do with one; globs of them are
// Selectors and LabelChoice. It must not know the Engine's client, nor streams. A
// Container is not changed once it is handed on; nothing here has a lock.
package container
