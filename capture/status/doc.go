// Package status tells how the capture is at a moment.
//
// A [View] is taken whole: all that is shown of a moment, metrics, health and page, is read off one, so that nothing asks the
// streams or the kernel twice, and what stands side by side belongs together. Whoever takes a view fills it; nothing here asks
// for anything, holds a lock, or keeps what it was told, but for the view of a scrape that is under way.
//
// It knows names of metrics and what is wrong when. It must not know streams, the Engine, or how it is that something comes
// about.
package status
