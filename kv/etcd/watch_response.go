package etcd

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/kv"
)

// accept returns the batch of resp, or the error that resp ends the watch with. A batch at revision zero is no batch.
func (w *watch) accept(resp clientv3.WatchResponse) (kv.Batch, error) {
	if !w.store.identity.heard(w.history, headerOf(&resp)) {
		return kv.Batch{}, errReplaced
	}
	if err := resp.Err(); err != nil {
		if resp.CompactRevision != 0 {
			return kv.Batch{}, &kv.OpError{
				Reason: &kv.CompactedError{Oldest: kv.Revision(resp.CompactRevision)},
				Cause:  err,
			}
		}
		return kv.Batch{}, err
	}
	if err := w.checkHeader(resp); err != nil {
		return kv.Batch{}, err
	}
	if resp.IsProgressNotify() {
		if rev := kv.Revision(resp.Header.GetRevision()); rev >= w.after {
			return kv.Batch{Revision: rev}, nil
		}
		return kv.Batch{}, nil
	}
	batch := kv.Batch{Events: make([]kv.Event, 0, len(resp.Events))}
	last := w.delivered
	for _, e := range resp.Events {
		rev := kv.Revision(e.Kv.ModRevision)
		switch {
		case rev <= w.after:
			continue // not requested
		case rev < last, rev == w.delivered && w.byBookmark:
			return kv.Batch{}, backwards("an event of revision %d came after revision %d", rev, last)
		case rev == w.delivered:
			continue // a repetition
		}
		last = rev
		if !w.r.Contains(string(e.Kv.Key)) {
			continue
		}
		batch.Events = append(batch.Events, event(e))
		batch.Revision = rev
	}
	return batch, nil
}

// checkHeader returns an error if resp's header is older than what the watch has brought before. A member may lag behind
// other members, but never behind itself, and etcd's client resumes a watch only where it was.
func (w *watch) checkHeader(resp clientv3.WatchResponse) error {
	if rev := kv.Revision(resp.Header.GetRevision()); rev != 0 && rev < w.delivered {
		return backwards("revision %d came after revision %d", rev, w.delivered)
	}
	member, term := resp.Header.GetMemberId(), resp.Header.GetRaftTerm()
	if term < w.terms[member] {
		return backwards("member %x was at raft term %d and is now at %d", member, w.terms[member], term)
	}
	if term != 0 {
		w.terms[member] = term
	}
	return nil
}

// backwards is the error of a watch that contradicts what it has brought before.
func backwards(format string, args ...any) error {
	return &kv.OpError{Reason: kv.ErrReset, Cause: fmt.Errorf(format, args...)}
}

// event returns e as an event of package kv.
func event(e *clientv3.Event) kv.Event {
	if e.Type == clientv3.EventTypeDelete {
		return kv.Event{Type: kv.EventDelete, Entry: kv.Entry{
			Key:         string(e.Kv.Key),
			ModRevision: kv.Revision(e.Kv.ModRevision),
		}}
	}
	return kv.Event{Type: kv.EventPut, Entry: entry(e.Kv)}
}
