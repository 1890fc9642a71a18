package server

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/watchkv/watchkv/kv/internal/mvcc"
)

// response is something to send on a watch stream: changes for a watch, progress, or a message about a watch.
type response struct {
	watch    *watch // nil in a message
	revision int64
	records  []*mvcc.Record // none in a progress notification
	before   []*mvcc.Record // the record before each change, if the watch wants it; nil if there was none
	message  *pb.WatchResponse
}

// add adds a change, unless the watch filters out changes of its kind.
func (r *response) add(rec *mvcc.Record) {
	if rec.Deletion() && r.watch.noDel || !rec.Deletion() && r.watch.noPut {
		return
	}
	r.records = append(r.records, rec)
}

// findBefore finds the record of each key before its change, unless that is compacted. etcd also does this just before it sends the changes.
func (r *response) findBefore(v view) {
	r.before = make([]*mvcc.Record, len(r.records))
	for i, rec := range r.records {
		if rec.Modify-1 >= v.compacted && (rec.Deletion() || rec.Create != rec.Modify) {
			r.before[i] = v.data.GetAt(rec.Key, rec.Modify-1)
		}
	}
}

// events returns the changes. Those of one revision are the same for all watches of a stream, which e shares.
func (r *response) events(e *lastEvent) []*mvccpb.Event {
	if len(r.records) == 1 && r.before == nil {
		return e.of(r.records[0])
	}
	events := make([]*mvccpb.Event, len(r.records))
	for i, rec := range r.records {
		events[i] = eventOf(rec)
		if r.before != nil && r.before[i] != nil {
			events[i].PrevKv = keyValue(r.before[i])
		}
	}
	return events
}

// lastEvent is the last change that was sent alone. What it has returned is not changed any more.
type lastEvent struct {
	record *mvcc.Record
	events []*mvccpb.Event
}

func (e *lastEvent) of(rec *mvcc.Record) []*mvccpb.Event {
	if e.record != rec {
		e.record, e.events = rec, []*mvccpb.Event{eventOf(rec)}
	}
	return e.events
}

func eventOf(rec *mvcc.Record) *mvccpb.Event {
	if rec.Deletion() {
		return &mvccpb.Event{Type: deleted, Kv: &mvccpb.KeyValue{Key: []byte(rec.Key), ModRevision: rec.Modify}}
	}
	return &mvccpb.Event{Kv: keyValue(rec)}
}

// deleted is the type of the event of a deletion, whose name is not the same in all versions of the API.
const deleted = mvccpb.Event_EventType(1)

// sendFragments sends r in parts of at most most bytes, as far as its events allow.
func sendFragments(r *pb.WatchResponse, most int, send func(*pb.WatchResponse) error) error {
	if len(r.Events) < 2 || sizeOf(r) < most {
		return send(r)
	}
	events := r.Events
	for len(events) > 0 {
		part := &pb.WatchResponse{Header: r.Header, WatchId: r.WatchId, Fragment: true}
		size := sizeOf(part)
		for n, event := range events {
			size += sizeOfEvent(event)
			if n > 0 && size >= most {
				break
			}
			part.Events = events[:n+1]
		}
		events = events[len(part.Events):]
		part.Fragment = len(events) > 0
		if err := send(part); err != nil {
			return err
		}
	}
	return nil
}
