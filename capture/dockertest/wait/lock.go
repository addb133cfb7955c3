package wait

// Lock is a sync.Locker that may be held while time passes.
// Whoever waits for a mutex keeps the time of a bubble (testing/synctest) from going on.
type Lock chan struct{}

// NewLock makes one.
func NewLock() Lock { return make(Lock, 1) }

// Lock implements sync.Locker.
func (l Lock) Lock() { l <- struct{}{} }

// Unlock implements sync.Locker.
func (l Lock) Unlock() { <-l }
