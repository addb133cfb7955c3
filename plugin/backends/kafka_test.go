package backends

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/plugin/e2e"
)

// message is one Kafka message.
type message struct {
	topic, key string
	partition  int32
	offset     int64
	fields     map[string]string
	at         time.Time // from its field timestamp
}

// kafka reads every topic from its beginning, in the background, also across a broker's restart.
type kafka struct {
	client *kgo.Client
	done   chan struct{} // closed when the reader is back

	mu       sync.Mutex
	messages []message
	byID     map[string]int // messages per container id, doubles counted
	failed   error
}

// readKafka starts the reader; close ends it.
func readKafka(broker string) (*kafka, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker),
		kgo.ConsumeRegex(), kgo.ConsumeTopics("^[^_].*"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(time.Second), kgo.MetadataMaxAge(2*time.Second), // topics come while it reads
	)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	k := &kafka{client: client, done: make(chan struct{}), byID: map[string]int{}}
	go k.read()
	return k, nil
}

func (k *kafka) close() {
	k.client.Close()
	<-k.done
}

func (k *kafka) read() {
	defer close(k.done)
	for {
		fetches := k.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		k.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			m, err := parseMessage(r)
			if err != nil {
				k.failed = err
				return
			}
			k.messages = append(k.messages, m)
			k.byID[m.fields["container_id"]]++
		})
		k.mu.Unlock()
	}
}

func parseMessage(r *kgo.Record) (message, error) {
	m := message{topic: r.Topic, key: string(r.Key), partition: r.Partition, offset: r.Offset}
	err := json.Unmarshal(r.Value, &m.fields)
	if err == nil {
		m.at, err = time.Parse(time.RFC3339Nano, m.fields["timestamp"])
	}
	if err != nil {
		return m, fmt.Errorf("kafka: message %d of %s/%d: %w: %.200s", r.Offset, r.Topic, r.Partition, err, r.Value)
	}
	delete(m.fields, "timestamp")
	return m, nil
}

func (k *kafka) name() string { return "Kafka" }

func (k *kafka) count(_ context.Context, l *load) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, c := range l.containers {
		n += k.byID[c.ID]
	}
	return n, nil
}

// lines are an error where one is not in the topic and the partition of all of its container, with its key and its fields.
func (k *kafka) lines(_ context.Context, l *load, c *enginetest.Container) ([]e2e.Line, error) {
	messages, err := k.of(c.ID)
	if err != nil {
		return nil, err
	}
	var lines []e2e.Line
	fields := l.fields(c, "")
	for _, m := range messages {
		text, std := m.fields["log"], m.fields["stream"]
		fields["log"], fields["stream"] = text, std
		if m.topic != l.topic(c.Name) || m.partition != messages[0].partition || m.key != c.ID || !maps.Equal(m.fields, fields) {
			return nil, fmt.Errorf("message in %s/%d with key %s is\n  %v, want it in %s/%d with key %s and\n  %v",
				m.topic, m.partition, m.key, m.fields, l.topic(c.Name), messages[0].partition, c.ID, fields)
		}
		lines = append(lines, e2e.Line{Container: c.Name, Std: std, Text: text, Time: m.at})
	}
	return lines, nil
}

func (k *kafka) hidden(context.Context, *load) (int, error) { return 0, nil }

// of returns the messages of one container, each partition in its order.
func (k *kafka) of(id string) ([]message, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var of []message
	for _, m := range k.messages {
		if m.fields["container_id"] == id {
			of = append(of, m)
		}
	}
	slices.SortFunc(of, func(a, b message) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	return of, k.failed
}
