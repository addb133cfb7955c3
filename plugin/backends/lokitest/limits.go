package lokitest

import (
	"fmt"
	"net/http"
	"time"
)

// Limits are what Loki refuses; a field that is zero refuses nothing. The names are Loki's, of limits_config but for MaxBehind.
type Limits struct {
	MaxLineSize                       int           // bytes
	RejectOldSamplesMaxAge            time.Duration // behind now
	CreationGracePeriod               time.Duration // ahead of now
	MaxBehind                         time.Duration // behind the newest entry of its stream: half of ingester.max_chunk_age
	DisallowStructuredMetadata        bool          // allow_structured_metadata: false
	MaxStructuredMetadataSize         int           // bytes an entry
	MaxStructuredMetadataEntriesCount int
	MaxLabelNamesPerSeries            int
	MaxGlobalStreamsPerUser           int
	IngestionRate, IngestionBurst     int // bytes a second, bytes
	PerStreamRate, PerStreamRateBurst int // the same
}

// Defaults are the limits of a Loki whose user has set none.
func Defaults() Limits {
	const mb = 1 << 20
	return Limits{
		MaxLineSize:                       256 << 10,
		RejectOldSamplesMaxAge:            7 * 24 * time.Hour,
		CreationGracePeriod:               10 * time.Minute,
		MaxBehind:                         time.Hour,
		MaxStructuredMetadataSize:         64 << 10,
		MaxStructuredMetadataEntriesCount: 128,
		MaxLabelNamesPerSeries:            15,
		MaxGlobalStreamsPerUser:           5000,
		IngestionRate:                     4 * mb, IngestionBurst: 6 * mb,
		PerStreamRate: 3 * mb, PerStreamRateBurst: 15 * mb,
	}
}

// stream is what is known of one.
type stream struct {
	newest time.Time
	bucket bucket
}

// bucket lets so many bytes a second pass, and a burst at once.
type bucket struct {
	used float64 // of the burst
	at   time.Time
}

func (b *bucket) pass(now time.Time, size, rate, burst int) bool {
	if rate == 0 {
		return true
	}
	b.used = max(0, b.used-now.Sub(b.at).Seconds()*float64(rate))
	b.at = now
	if b.used+float64(size) > float64(burst) {
		return false
	}
	b.used += float64(size)
	return true
}

// take judges a push. What is invalid is left out and answered with 400, the rest is taken; beyond the rate of all nothing
// is taken; of a stream beyond its own rate what passed before is. The caller holds mu.
func (l *Loki) take(streams [][]Entry, size int) Push {
	now := time.Now()
	p := Push{Status: http.StatusNoContent}
	invalid := func(format string, args ...any) {
		if p.Status == http.StatusNoContent {
			p.Status, p.Message = http.StatusBadRequest, fmt.Sprintf(format, args...)
		}
	}
	var valid []Entry
	for _, entries := range streams {
		for _, e := range entries {
			if refusal := l.invalid(now, e); refusal != "" {
				invalid("%s", refusal)
				continue
			}
			valid = append(valid, e)
		}
	}
	if len(valid) > 0 && !l.all.pass(now, size, l.limits.IngestionRate, l.limits.IngestionBurst) {
		return Push{Status: http.StatusTooManyRequests, Message: fmt.Sprintf("ingestion rate limit exceeded for user fake "+
			"(limit: %d bytes/sec) while attempting to ingest %d lines totaling %d bytes, reduce log volume or contact your "+
			"Loki administrator to see if the limit can be increased", l.limits.IngestionRate, len(valid), size)}
	}
	limited := ""
	for _, e := range valid {
		name := format(e.Labels)
		s := l.streams[name]
		if s == nil {
			if l.limits.MaxGlobalStreamsPerUser > 0 && len(l.streams) >= l.limits.MaxGlobalStreamsPerUser {
				limited = fmt.Sprintf("maximum active stream limit exceeded when trying to create stream %s", name)
				continue
			}
			s = &stream{}
			l.streams[name] = s
		}
		if oldest := s.newest.Add(-l.limits.MaxBehind); l.limits.MaxBehind > 0 && e.Time.Before(oldest) {
			invalid("entry too far behind, entry timestamp is: %s, oldest acceptable timestamp is: %s",
				e.Time.UTC().Format(time.RFC3339), oldest.UTC().Format(time.RFC3339))
			continue
		}
		if !s.bucket.pass(now, e.size(), l.limits.PerStreamRate, l.limits.PerStreamRateBurst) {
			limited = fmt.Sprintf("Per stream rate limit exceeded (limit: %d/sec) while attempting to ingest for stream '%s'", l.limits.PerStreamRate, name)
			continue
		}
		if e.Time.After(s.newest) {
			s.newest = e.Time
		}
		l.entries = append(l.entries, e)
		p.Taken++
	}
	if limited != "" {
		p.Status, p.Message = http.StatusTooManyRequests, limited
	}
	return p
}

// invalid says why an entry can be taken at no time, or "".
func (l *Loki) invalid(now time.Time, e Entry) string {
	metadata := e.size() - len(e.Text)
	switch m := l.limits; {
	case len(e.Labels) == 0:
		return "error at least one label pair is required per stream"
	case m.MaxLabelNamesPerSeries > 0 && len(e.Labels) > m.MaxLabelNamesPerSeries:
		return fmt.Sprintf("entry for stream '%s' has %d label names; limit %d", format(e.Labels), len(e.Labels), m.MaxLabelNamesPerSeries)
	case m.RejectOldSamplesMaxAge > 0 && e.Time.Before(now.Add(-m.RejectOldSamplesMaxAge)):
		return fmt.Sprintf("entry for stream '%s' has timestamp too old: %s, oldest acceptable timestamp is: %s", format(e.Labels),
			e.Time.UTC().Format(time.RFC3339), now.Add(-m.RejectOldSamplesMaxAge).UTC().Format(time.RFC3339))
	case m.CreationGracePeriod > 0 && e.Time.After(now.Add(m.CreationGracePeriod)):
		return fmt.Sprintf("entry for stream '%s' has timestamp too new: %s", format(e.Labels), e.Time.UTC().Format(time.RFC3339))
	case m.MaxLineSize > 0 && len(e.Text) > m.MaxLineSize:
		return fmt.Sprintf("max entry size '%d' bytes exceeded for stream '%s' while adding an entry with length '%d' bytes", m.MaxLineSize, format(e.Labels), len(e.Text))
	case m.DisallowStructuredMetadata && len(e.Metadata) > 0:
		return fmt.Sprintf("stream '%s' includes structured metadata, but this feature is disallowed", format(e.Labels))
	case m.MaxStructuredMetadataSize > 0 && metadata > m.MaxStructuredMetadataSize:
		return fmt.Sprintf("stream '%s' has structured metadata too large: '%d' bytes, limit: '%d' bytes", format(e.Labels), metadata, m.MaxStructuredMetadataSize)
	case m.MaxStructuredMetadataEntriesCount > 0 && len(e.Metadata) > m.MaxStructuredMetadataEntriesCount:
		return fmt.Sprintf("stream '%s' has too many structured metadata labels: '%d', limit: '%d'", format(e.Labels), len(e.Metadata), m.MaxStructuredMetadataEntriesCount)
	}
	return ""
}
