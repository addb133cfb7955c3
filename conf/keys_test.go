package conf_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture"
)

// known are the keys in use, as Fluent Bit 5.1.1 documents or defines them. Fluent Bit silently ignores a key of the service
// that it does not know, and lists only some of what every input, filter and output has.
var known = map[string][]string{
	"service": {
		"daemon", "flush", "grace", "hc_period", "health_check", "hot_reload", "hot_reload.ensure_thread_safety", "http_listen", "http_port", "http_server",
		"log_level", "parsers_file", "plugins_file", "scheduler.base", "scheduler.cap",
		"storage.backlog.mem_limit", "storage.keep.rejected", "storage.max_chunks_up", "storage.path",
		"storage.rejected.limit", "storage.sync",
	},
	"input": {
		"alias", "log_level", "mem_buf_limit", "name", "storage.pause_on_chunks_overlimit", "storage.type", "tag",
	},
	"filter": {"match", "name"},
	"output": {"match", "match_regex", "name", "retry_limit", "storage.total_limit_size", "workers"},
}

// listed are the keys in use that `fluent-bit -F NAME -h` or `fluent-bit -o NAME -h` lists.
var listed = map[string][]string{
	"filter parser":      {"key_name", "parser", "reserve_data"},
	"filter rewrite_tag": {"emitter_mem_buf_limit", "emitter_storage.type", "rule"},
	"output file":        {"file", "path"},
	"output kafka": {
		"brokers", "dynamic_topic", "format", "message_key_field", "queue_full_retries", "rdkafka.", "timestamp_format",
		"timestamp_key", "topic_key", "topics",
	},
	"output loki": {
		"compress", "drop_single_key", "host", "http_passwd", "http_user", "labels", "port", "remove_keys",
		"structured_metadata", "tenant_id", "tls", "tls.ca_file", "uri",
	},
	"output stdout": {"format", "json_date_format", "json_date_key"},
	"output opensearch": {
		"buffer_size", "compress", "generate_id", "host", "http_passwd", "http_user", "logstash_format", "logstash_prefix", "port",
		"suppress_type_name", "time_key_nanos", "tls", "tls.ca_file", "write_operation",
	},
	"output http": {"compress", "format", "header", "host", "json_date_format", "json_date_key", "port", "tls", "tls.ca_file", "uri"},
	"output opentelemetry": {
		"batch_size", "compress", "header", "host", "logs_body_key", "logs_body_key_attributes", "logs_uri", "port", "tls", "tls.ca_file",
	},
	"output forward": {"compress", "host", "port", "require_ack_response", "self_hostname", "shared_key", "tls", "tls.ca_file"},
	"output splunk": {
		"compress", "event_host", "event_index", "event_key", "event_source", "event_sourcetype", "host", "port", "splunk_token", "tls", "tls.ca_file",
	},
	"output s3": {
		"bucket", "compression", "endpoint", "json_date_format", "json_date_key", "region", "s3_key_format", "store_dir", "store_dir_limit_size",
		"total_file_size", "upload_timeout", "use_put_object",
	},
}

// TestKeys: every key exists, the environment says where metrics are served, and the first example shows every option of the
// plugin.
func TestKeys(t *testing.T) {
	options := map[string]bool{}
	for _, o := range capture.Options() {
		options[strings.ToLower(o.Key)] = true
	}
	for file, example := range examples(t) {
		for _, s := range example {
			for key := range s.keys {
				here := key
				if strings.HasPrefix(key, "rdkafka.") { // TestStart: Kafka's client knows what follows
					here = "rdkafka."
				}
				if !slices.Contains(known[s.kind], key) && !slices.Contains(listed[s.name()], here) &&
					(s.name() != "input docker_logs" || !options[key]) {
					t.Errorf("%s, %s: %s is no key that is known", file, s.name(), key)
				}
			}
		}
		for _, input := range sections(example, "input") {
			if v := input.keys["metrics_listen"]; v.off || v.value != "${METRICS_LISTEN}" {
				t.Errorf("%s: METRICS_LISTEN does not say where metrics are served", file)
			}
		}
		if strings.HasPrefix(file, "fluent-bit.") {
			input := sections(example, "input")[0]
			for key := range options {
				if _, ok := input.keys[key]; !ok {
					t.Errorf("%s: option %s is not shown", file, key)
				}
			}
		}
	}
}

// TestSafe: records that were read survive a kill and a stop, and a reload ends although an output is away.
func TestSafe(t *testing.T) {
	for file, example := range examples(t) {
		service := sections(example, "service")[0].keys
		for key, want := range map[string]string{
			"storage.path": "/var/lib/fluent-bit/storage", "hot_reload": "on", "hot_reload.ensure_thread_safety": "off", "daemon": "off",
		} {
			if got := service[key]; got.off || got.value != want {
				t.Errorf("%s: %s is %+v, want %s", file, key, got, want)
			}
		}
		for _, s := range example {
			keys := []string{"storage.type", "db"}
			if s.kind == "filter" {
				keys = []string{"emitter_storage.type"}
			}
			for _, key := range keys {
				v, ok := s.keys[key]
				if must := s.kind == "input" || s.name() == "filter rewrite_tag"; must && (!ok || v.off || key != "db" && v.value != "filesystem") {
					t.Errorf("%s, %s: %s is %+v", file, s.name(), key, v)
				}
			}
			if v, ok := s.keys["storage.total_limit_size"]; ok {
				if retry := s.keys["retry_limit"]; v.off || retry.value != "no_limits" {
					t.Errorf("%s, %s: on disk up to %+v, tried %+v", file, s.name(), v, retry)
				}
			}
		}
	}
}

// TestListed: Fluent Bit itself lists the keys of its filters and outputs.
func TestListed(t *testing.T) {
	fluentBit := lookFluentBit(t)
	for name, keys := range listed {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			requirePlugins(t, fluentBit, name)
			kind, plugin, _ := strings.Cut(name, " ")
			flag := map[string]string{"filter": "-F", "output": "-o"}[kind]
			help, err := exec.CommandContext(t.Context(), fluentBit, flag, plugin, "-h").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, help)
			}
			for _, key := range keys {
				if !regexp.MustCompile(`(?mi)^(\x1b\[0m)?` + regexp.QuoteMeta(key) + ` `).Match(help) {
					t.Errorf("%s is not listed", key)
				}
			}
		})
	}
}

// TestValues: the plugin accepts what is on, and each option that can be switched on as well.
func TestValues(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	for file, example := range examples(t) {
		for _, input := range sections(example, "input") {
			checkValues(t, file, input.keys)
		}
	}
}

func checkValues(t *testing.T, file string, keys map[string]setting) {
	on := map[string]string{}
	for key, v := range keys {
		if !v.off {
			on[key] = os.Expand(v.value, func(string) string { return "" }) // as Fluent Bit does where nothing is set
		}
	}
	on["db"] = filepath.Join(t.TempDir(), filepath.Base(on["db"]))
	accepted := func(more map[string]string) error {
		_, err := capture.ParseConfig(func(key string) string {
			key = strings.ToLower(key)
			if v, ok := more[key]; ok {
				return v
			}
			return on[key]
		})
		return err
	}
	if err := accepted(nil); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	tls := map[string]string{}
	for key, v := range keys {
		switch {
		case !v.off:
		case strings.HasPrefix(v.value, "/"): // a certificate: any file that exists
			tls[key] = file
		case key == "docker_host", strings.HasPrefix(key, "docker_tls_"):
			tls[key] = v.value
		default:
			if err := accepted(map[string]string{key: v.value}); err != nil {
				t.Errorf("%s, switched on: %v", file, err)
			}
		}
	}
	if err := accepted(tls); err != nil {
		t.Errorf("%s, with TLS switched on: %v", file, err)
	}
}

// TestSame: the two formats differ in nothing but the way they name the plugin's file.
func TestSame(t *testing.T) {
	all := examples(t)
	for _, name := range names {
		classic, yaml := all[name+".conf"], all[name+".yaml"]
		delete(sections(classic, "service")[0].keys, "plugins_file")
		if a, b := len(classic), len(yaml); a != b {
			t.Errorf("%s: %d sections in the classic format, %d in YAML", name, a, b)
			continue
		}
		for i := range classic {
			a, b := classic[i], yaml[i]
			if a.name() != b.name() || len(a.keys) != len(b.keys) {
				t.Errorf("%s: %s has %d keys in the classic format, %s has %d in YAML", name, a.name(), len(a.keys), b.name(), len(b.keys))
			}
			for key, v := range a.keys {
				if got := b.keys[key]; got != v {
					t.Errorf("%s, %s, %s: %+v in the classic format, %+v in YAML", name, a.name(), key, v, got)
				}
			}
		}
	}
}
