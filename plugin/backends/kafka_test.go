package backends

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
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

// count returns how many messages of the containers came so far.
func (k *kafka) count(ids []string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, id := range ids {
		n += k.byID[id]
	}
	return n
}

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
