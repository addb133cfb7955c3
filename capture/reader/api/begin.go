package api

import (
	"context"
	"errors"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// Begin finds where the capture begins, if that is not known yet. Where the log
// is damaged that is left to the reader.
func (f *Follow) Begin(ctx context.Context) error {
	target := f.Position()
	limit := position.FirstTail
	switch {
	case !target.ToBegin():
		return nil
	case target.Kind == position.FromTail:
		limit = target.Tail + position.MoreHeads
	case target.Lost, f.api.IsPodman(): // a record from before it may be long ago
		limit = position.Everything
	}
	skip := 0
	if limit != position.Everything && f.api.IsPodman() { // whose tails are not to be believed
		all := 0
		if err := f.stored(ctx, position.Everything, func(*decode.Entry) error { all++; return nil }); err != nil {
			return err
		}
		skip, limit = all-limit, position.Everything
	}
	for {
		r := position.NewResync(&target, limit)
		l := f.FirstLook(&target, limit == position.Everything)
		l.SkipFirst(skip)
		err := f.stored(ctx, limit, func(e *decode.Entry) error {
			r.Feed(e)
			if l.Feed(e) {
				return errTooShort
			}
			if l.Complete() {
				return errEnough
			}
			return nil
		})
		var refused decode.SystemError
		switch {
		case errors.As(err, &refused):
			return nil
		case errors.Is(err, errTooShort):
			limit = longer(limit, r)
			continue
		case err != nil && !errors.Is(err, errEnough):
			return err
		}
		l.AskedFor(limit)
		f.Task.Beat()
		return f.BeginAt(ctx, l.End())
	}
}
