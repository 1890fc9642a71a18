package natskv

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/watchkv/watchkv/kv"
)

// These are the headers of a message. A put has the revision that created the key, unless it has created the key itself, and the
// key's version. A deletion is marked as NATS's own tools mark it, so that they list and read such a bucket correctly.
//
// A put by such a tool has neither header. It counts as the first put of the key, at version 1.
const (
	createHeader    = "Watchkv-Create-Revision"
	versionHeader   = "Watchkv-Version"
	operationHeader = "KV-Operation"
	operationDelete = "DEL"
)

// record is a message of the stream: a change of one key.
type record struct {
	subject string
	key     string
	isKey   bool // false for a note, and for a subject that encodeKey does not make
	seq     uint64
	time    time.Time
	header  nats.Header
	data    []byte
}

func (s *Store) fetched(m *jetstream.RawStreamMsg) record {
	r := record{subject: m.Subject, seq: m.Sequence, time: m.Time, header: m.Header, data: m.Data}
	r.key, r.isKey = s.keyOf(m.Subject)
	return r
}

func (s *Store) delivered(m jetstream.Msg, meta *jetstream.MsgMetadata) record {
	r := record{subject: m.Subject(), seq: meta.Sequence.Stream, time: meta.Timestamp, header: m.Headers(), data: m.Data()}
	r.key, r.isKey = s.keyOf(m.Subject())
	return r
}

// isPut reports whether the record put its key. Otherwise it deleted the key ("DEL", "PURGE", and the markers that a server
// leaves for expired messages).
func (r record) isPut() bool {
	return r.header.Get(operationHeader) == "" && r.header.Get(jetstream.MarkerReasonHeader) == ""
}

// entry returns the entry that a put has made.
func (r record) entry() kv.Entry {
	rev := kv.Revision(r.seq)
	e := kv.Entry{Key: r.key, Value: r.data, CreateRevision: rev, ModRevision: rev, Version: 1}
	created, err := strconv.ParseInt(r.header.Get(createHeader), 10, 64)
	if err != nil {
		return e
	}
	if version, err := strconv.ParseInt(r.header.Get(versionHeader), 10, 64); err == nil {
		e.CreateRevision, e.Version = kv.Revision(created), version
	}
	return e
}

func (r record) event() kv.Event {
	if r.isPut() {
		return kv.Event{Type: kv.EventPut, Entry: r.entry()}
	}
	return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{Key: r.key, ModRevision: kv.Revision(r.seq)}}
}

// putAfter returns the headers of a put that follows previous, the key's entry. If previous is zero, the put creates the key.
func putAfter(previous kv.Entry) nats.Header {
	h := nats.Header{}
	h.Set(versionHeader, strconv.FormatInt(previous.Version+1, 10))
	if previous.Version > 0 {
		h.Set(createHeader, strconv.FormatInt(int64(previous.CreateRevision), 10))
	}
	return h
}

func deletion() nats.Header {
	h := nats.Header{}
	h.Set(operationHeader, operationDelete)
	return h
}
