package api

import "errors"

// Why a read of the log is ended, and done again in another way.
var (
	errTooShort = errors.New("the position is further back in the log")
	errEnough   = errors.New("no more of the log is needed")
	// errRotated ends what is open of a log in favour of its next opening.
	errRotated  = errors.New("stream rotation")
	errHole     = errors.New("records in the middle of the log cannot be read")
	errGoesBack = errors.New("the log shows behind the position what is older")
	errDoubtful = errors.New("only the log can tell what was sent twice or left out")
	errTorn     = errors.New("only the log can tell whether a part of a line was left out")
	errHeadless = errors.New("only the log can tell whether the beginning of a line was left out")
	errCompare  = errors.New("what was sent is to be compared with the log")
)

// Why what is open of a log stays so.
var (
	// errMidway: it is being sent.
	errMidway = errors.New("what is open is sent a record, or what was stored, all the time")
	// errLags: what it has still to send is not in the log any more.
	errLags = errors.New("what is open has not come to where the log begins")
)
