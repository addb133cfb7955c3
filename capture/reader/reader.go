package reader

import (
	"context"
	"errors"
	"log/slog"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// Reader is a way to get at the log of a container. It is made for one run of
// the stream.
type Reader interface {
	// Read delivers what the log holds behind the position. With follow it goes on with
	// what is written from now on. It returns nil at the end of the log, else why it
	// stopped; by then it holds no resource any more, and the position is behind the
	// last record delivered.
	Read(ctx context.Context, follow bool) error
}

// Open is a reader that keeps the log open. What it is asked here comes from
// another goroutine than that of Read.
type Open interface {
	Reader
	// Rotate has the log opened anew, then closed as it was. In this order, because
	// the container may vanish meanwhile. It may return before that is done.
	Rotate(ctx context.Context) error
	// Behind asks whether the log holds records behind the position. It does so in
	// another way than by what is open.
	Behind(ctx context.Context) (bool, error)
}

// Host is the stream that a reader reads for.
type Host interface {
	// Container is what is known of the log's container.
	Container() *container.Container
	// Inspect asks the Engine for it anew.
	Inspect(ctx context.Context) (*container.Container, error)
	// Opened says that the log could be opened. An answer without a byte is no proof of
	// that.
	Opened()
	// InSync says that the present opening was read to the position.
	InSync()
	// Rotated says that another opening of the log has taken over.
	Rotated()
	// WaitRoom waits a moment for room in the outbox. Then it fails with ErrBackpressure.
	WaitRoom(ctx context.Context) error
	// Gap counts and says that the log has lost the anchor. The read ends with the error
	// that it returns.
	Gap(ctx context.Context, a *position.Anchor) error
	// FirstLook is how to find where the capture begins. whole says that what is looked
	// at begins with the first record of the log.
	FirstLook(target *position.Position, whole bool) *position.FirstLook
}

// Log is a container's log, as its stream hands it to readers.
type Log struct {
	ID string // of the container
	Host
	*lines.Writer
	Out     *outbox.Outbox
	Task    *supervise.Task // of the stream, which gives heartbeats
	Say     *slog.Logger
	Said    *say.Once // what was said of this log
	Trouble *say.Trouble
	Poke    <-chan struct{} // the container is to be looked at again
}

// Errors that end a read, and on which its stream acts.
var (
	// ErrBackpressure ends a read when the outbox stays full. A log must not be
	// left open and unread, because the Engine buffers for it.
	ErrBackpressure = errors.New("Fluent Bit takes no records at the moment")
	// ErrMoved ends a read so that its stream looks again. It is to be read in another
	// way, or its container is to be inspected.
	ErrMoved = errors.New("the stream is read in another way from now on")
	// ErrSilent ends a read that delivers nothing while the log grows.
	ErrSilent = errors.New("the stream is silent while its log grows")
	// ErrRecycled ends all reads that keep their log open.
	ErrRecycled = errors.New("all logs are opened anew, too many file descriptors are open")
	// ErrStalled ends a read, or a probe, that gets no answer.
	ErrStalled = errors.New("the Engine sent nothing in time")
	// ErrNotInView ends a read that does not show the position.
	ErrNotInView = errors.New("the position is not in what the Engine sent")
	// ErrNoFile says that the log's files cannot be reached from here.
	ErrNoFile = errors.New("the log file cannot be read")
)

// DeliverWindow calls each for all whole records in w. It waits for room first, and
// has the outbox locked then.
func (l *Log) DeliverWindow(ctx context.Context, w *decode.Window, eof bool, each func(*decode.Entry) error) error {
	if l.Out.Full() {
		if err := l.WaitRoom(ctx); err != nil {
			return err
		}
	}
	err := l.DeliverRecords(ctx, w, eof, each)
	l.Task.Beat()
	return err
}
