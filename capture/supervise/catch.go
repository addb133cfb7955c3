package supervise

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic turned into an error.
type PanicError struct {
	Value any
	Stack string
}

// NewPanicError is called where the panic was recovered, on its stack.
func NewPanicError(value any) PanicError { return PanicError{value, string(debug.Stack())} }

// Error implements error.
func (p PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Catch turns a panic of f into a PanicError.
func Catch(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = NewPanicError(v)
		}
	}()
	return f()
}

// Apart runs f in a goroutine of its own. That keeps the stack small of a
// goroutine that seldom does so.
func Apart(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- Catch(f) }()
	return <-done
}
