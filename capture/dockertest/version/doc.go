// Package version knows API versions, and which the fake speaks.
//
// It knows the versions at which something changes. It must not know what: that stands where it is done. The lock of [Spoken] is
// taken last, below any other.
package version
