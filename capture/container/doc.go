// Package container holds what is known of one container.
//
// It knows the words of Docker and of its log options, and neither the Engine's
// client nor streams. A Container is not changed once it is handed on.
package container
