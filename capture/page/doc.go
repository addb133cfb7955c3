// Package page draws the status page of a capture, trouble first.
//
// It knows what is shown, which it is handed ([Status]). It must not know streams,
// nor HTTP. All text in it is hostile: names and errors come from containers and the
// Engine, and only html/template writes them. The page needs no script: links sort, a form
// filters, and it loads itself anew. The script spares the loading.
//
// [History] remembers how many lines a second came of each container, a number for
// each [Every]. Its lock is the only one here, and is held while nothing waits.
package page
