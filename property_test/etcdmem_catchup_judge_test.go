package property_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// streamJudge decides whether etcd may send a message on a watch stream. It knows all writes and all requests on the stream.
//
// etcd sends answers to requests through one queue, in the order of the requests, and what is for watches through another one. So the order of
// the two kinds is not defined, except that nothing comes for a watch before it has been reported as created.
type streamJudge struct {
	mu         sync.Mutex
	events     []*mvccpb.Event // all, in order, with the record before each
	live       map[string]*mvccpb.KeyValue
	last       int64 // the newest revision that a call has returned
	may        int64 // the newest revision that there may be
	compacted  int64 // that a call has returned
	mayCompact int64 // that may be compacted
	nextID     int64
	watches    map[int64]*judgedWatch   // those that the server has, by identity
	all        map[int64][]*judgedWatch // with those that were cancelled
	expected   []control
	fragments  *pb.WatchResponse // the parts of a response that have come
	changed    chan struct{}

	asked int // requests for progress
	told  int // messages about progress

	complaints []string
	leftovers  int
	counts     map[string]int
}

// control is an answer that the server has yet to give to a request.
type control struct {
	watch    *judgedWatch // nil if the request was refused
	canceled bool
	reason   string
	id       int64
	since    int64 // its revision is not older
}

// judgedWatch is a watch.
type judgedWatch struct {
	request   *pb.WatchCreateRequest
	id        int64
	next      int64 // everything before this revision has come
	from      int64 // everything since this revision must come; until then, what is before it may come
	created   bool
	cancelled bool // the client has requested that
	ended     bool // the server has reported that
	compacted bool
	header    int64
	asked     int // the requests for progress before it
}

func newStreamJudge() *streamJudge {
	return &streamJudge{
		live: make(map[string]*mvccpb.KeyValue), last: 1, may: 1, watches: make(map[int64]*judgedWatch), all: make(map[int64][]*judgedWatch),
		changed: make(chan struct{}), counts: make(map[string]int),
	}
}

func (j *streamJudge) complain(format string, args ...any) {
	j.complaints = append(j.complaints, fmt.Sprintf(format, args...))
}

func (j *streamJudge) revisions() (compacted, last int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.compacted, j.last
}

// write notes what a transaction without conditions does. The events are known before the call, which may be slower than the watches.
func (j *streamJudge) write(r *pb.TxnRequest, call func() (int64, error)) {
	j.mu.Lock()
	revision := j.last + 1
	n := len(j.events)
	for _, op := range r.Success {
		if put := op.GetRequestPut(); put != nil {
			j.apply(&mvccpb.KeyValue{Key: put.Key, Value: put.Value, ModRevision: revision}, false)
			continue
		}
		d := op.GetRequestDeleteRange()
		var keys []string
		for key := range j.live {
			if inKeys([]byte(key), d.Key, d.RangeEnd) {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			j.apply(&mvccpb.KeyValue{Key: []byte(key), ModRevision: revision}, true)
		}
	}
	if len(j.events) > n {
		j.may = revision
	}
	j.mu.Unlock()
	got, err := call()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = j.may
	if err != nil || got != j.last {
		j.complain("a write returned revision %d, %v; want %d", got, err, j.last)
	}
}

func (j *streamJudge) apply(kv *mvccpb.KeyValue, deleted bool) {
	before := j.live[string(kv.Key)]
	e := &mvccpb.Event{Kv: kv, PrevKv: before}
	if deleted {
		e.Type = 1
		delete(j.live, string(kv.Key))
	} else {
		kv.CreateRevision, kv.Version = kv.ModRevision, 1
		if before != nil {
			kv.CreateRevision, kv.Version = before.CreateRevision, before.Version+1
		}
		j.live[string(kv.Key)] = kv
	}
	j.events = append(j.events, e)
}

func (j *streamJudge) compact(at int64, call func() error) {
	j.mu.Lock()
	j.mayCompact = max(j.mayCompact, min(at, j.may))
	future := at > j.last
	j.mu.Unlock()
	err := call()
	j.mu.Lock()
	defer j.mu.Unlock()
	if future != (err != nil) {
		j.complain("a compaction at %d of %d returned %v", at, j.last, err)
	}
	if err == nil {
		j.compacted = at
	}
	j.mayCompact = j.compacted
}

// inKeys reports whether a key belongs to a range as etcd's requests have it.
func inKeys(key, begin, end []byte) bool {
	switch {
	case len(end) == 0:
		return string(key) == string(begin)
	case string(end) == "\x00":
		return string(key) >= string(begin)
	}
	return string(key) >= string(begin) && string(key) < string(end)
}

// request notes a request before it is sent.
func (j *streamJudge) request(r *pb.WatchRequest) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch r := r.RequestUnion.(type) {
	case *pb.WatchRequest_CreateRequest:
		j.create(r.CreateRequest)
	case *pb.WatchRequest_ProgressRequest:
		j.asked++
	case *pb.WatchRequest_CancelRequest:
		if w := j.watches[r.CancelRequest.WatchId]; w != nil {
			w.cancelled = true
			delete(j.watches, w.id)
			j.expected = append(j.expected, control{watch: w, canceled: true, id: w.id, since: j.last})
		}
	}
}

func (j *streamJudge) create(r *pb.WatchCreateRequest) {
	key, end := r.Key, r.RangeEnd
	if len(key) == 0 {
		key = []byte{0}
	}
	refused := ""
	switch id := r.WatchId; {
	case len(end) > 0 && string(end) != "\x00" && string(key) >= string(end):
		refused = "mvcc: watcher range is empty"
	case id != 0 && j.watches[id] != nil:
		refused = "mvcc: duplicate watch ID provided on the WatchStream"
	}
	if r.StartRevision < 0 {
		refused = rpctypes.ErrCompacted.Error()
	}
	if refused != "" {
		j.expected = append(j.expected, control{canceled: true, reason: refused, id: -1, since: j.last})
		return
	}
	w := &judgedWatch{request: &pb.WatchCreateRequest{Key: key, RangeEnd: end, StartRevision: r.StartRevision, Filters: r.Filters, PrevKv: r.PrevKv, Fragment: r.Fragment}, id: r.WatchId, asked: j.asked}
	if w.id == 0 {
		for j.watches[j.nextID] != nil {
			j.nextID++
		}
		w.id = j.nextID
		j.nextID++
	}
	if w.next, w.from = r.StartRevision, r.StartRevision; r.StartRevision == 0 {
		w.next = j.last + 1
	}
	j.watches[w.id] = w
	j.all[w.id] = append(j.all[w.id], w)
	j.expected = append(j.expected, control{watch: w, id: w.id, since: j.last})
}

// wants reports whether an event is for the watch, and whether it is sent and not filtered out.
func (w *judgedWatch) wants(e *mvccpb.Event) (matches, sent bool) {
	if !inKeys(e.Kv.Key, w.request.Key, w.request.RangeEnd) {
		return false, false
	}
	filter := pb.WatchCreateRequest_FilterType(e.Type) // NOPUT and NODELETE have the numbers of PUT and DELETE
	return true, !slices.Contains(w.request.Filters, filter)
}

// message judges a message that has come.
func (j *streamJudge) message(r *pb.WatchResponse) {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer func() {
		close(j.changed)
		j.changed = make(chan struct{})
	}()
	if f := j.fragments; f != nil {
		if r.WatchId != f.WatchId || r.Header.Revision != f.Header.Revision || len(r.Events) == 0 {
			j.complain("between the parts of a response for watch %d comes one for %d", f.WatchId, r.WatchId)
		}
		r.Events = append(f.Events, r.Events...)
		j.fragments = nil
	}
	switch {
	case r.Fragment:
		j.counts["fragments"]++
		j.fragments = r
	case r.Created || r.Canceled && r.CompactRevision == 0:
		j.control(r)
	case r.Canceled:
		j.counts["compacted"]++
		j.compactedWatch(r)
	case len(r.Events) > 0:
		j.counts["responses"]++
		j.delivered(r)
	case r.WatchId == -1:
		j.counts["progress"]++
		j.progress(r)
	default:
		j.complain("a message of no kind: %v", r)
	}
}

func (j *streamJudge) control(r *pb.WatchResponse) {
	if len(j.expected) == 0 {
		j.complain("an answer to no request: %v", r)
		return
	}
	want := j.expected[0]
	j.expected = j.expected[1:]
	created := want.watch == nil || !want.canceled
	if r.WatchId != want.id || r.Created != created || r.Canceled != want.canceled || r.CancelReason != want.reason || r.Header.Revision < want.since || r.Header.Revision > j.may {
		j.complain("an answer is %v, want one for %+v, at a revision from %d to %d", r, want, want.since, j.may)
		return
	}
	switch {
	case want.watch == nil:
		j.counts["refused"]++
	case created:
		j.counts["created"]++
		want.watch.created = true
		if want.watch.request.StartRevision == 0 {
			want.watch.from = r.Header.Revision + 1
		}
	default:
		j.counts["cancelled"]++
		want.watch.ended = true
	}
}

func (j *streamJudge) compactedWatch(r *pb.WatchResponse) {
	all := j.all[r.WatchId]
	for i := len(all) - 1; i >= 0; i-- {
		w := all[i]
		if !w.created || w.compacted || w.next >= r.CompactRevision || r.CompactRevision > j.mayCompact || r.Header.Revision != 0 {
			continue
		}
		w.compacted = true
		if w.ended {
			j.leftovers++
		}
		return
	}
	j.complain("no watch may get %v, with compaction up to %d", r, j.mayCompact)
}

// delivered judges events. If the client has used an identity again, etcd may still send what was for the watch that had it before.
func (j *streamJudge) delivered(r *pb.WatchResponse) {
	all := j.all[r.WatchId]
	if len(all) == 0 || !all[len(all)-1].created && !slices.ContainsFunc(all, func(w *judgedWatch) bool { return w.created && !w.ended }) {
		j.complain("events for watch %d, which there is not", r.WatchId)
		return
	}
	var why string
	for i := len(all) - 1; i >= 0; i-- {
		w := all[i]
		if !w.created || w.compacted {
			continue
		}
		problem := j.fits(w, r)
		if problem == "" {
			if w.ended {
				j.leftovers++
			}
			w.next, w.header = r.Events[len(r.Events)-1].Kv.ModRevision+1, r.Header.Revision
			return
		}
		if why == "" {
			why = fmt.Sprintf("%s; the watch is %+v", problem, *w)
		}
	}
	j.complain("%d events for watch %d, header %d, from %d to %d: %s", len(r.Events), r.WatchId, r.Header.Revision, r.Events[0].Kv.ModRevision, r.Events[len(r.Events)-1].Kv.ModRevision, why)
}

const batch = 1000 // the revisions that a watch gets at once when it catches up

// fits returns why a response cannot be the next one of a watch, or "".
func (j *streamJudge) fits(w *judgedWatch, r *pb.WatchResponse) string {
	if r.Header.Revision > j.may || r.Header.Revision < w.header {
		return fmt.Sprintf("revision %d is not between %d and %d", r.Header.Revision, w.header, j.may)
	}
	got := r.Events
	first := got[0].Kv.ModRevision
	revisions, of := 0, int64(0)
	for _, e := range j.events {
		matches, sent := w.wants(e)
		at := e.Kv.ModRevision
		if at < w.next || !matches {
			continue
		}
		if len(got) == 0 && at > of {
			if at <= r.Header.Revision && revisions < batch && sent {
				return fmt.Sprintf("an event of revision %d is left out", at)
			}
			break
		}
		if at < first && at < w.from {
			continue // at that time the watch had not begun
		}
		if at != of {
			if revisions == batch && len(got) == len(r.Events) {
				revisions = 0 // all events of a batch were filtered out, so that it was not sent
			}
			revisions++
			of = at
		}
		if !sent {
			continue
		}
		if len(got) == 0 {
			return fmt.Sprintf("revision %d is cut in two", at)
		}
		if problem := j.same(w, e, got[0]); problem != "" {
			return problem
		}
		got = got[1:]
	}
	if len(got) > 0 {
		return fmt.Sprintf("%d events too many", len(got))
	}
	if revisions > batch && len(w.request.Filters) == 0 {
		return fmt.Sprintf("%d revisions at once", revisions)
	}
	return ""
}

// same returns how an event differs from the one that is due.
func (j *streamJudge) same(w *judgedWatch, want, got *mvccpb.Event) string {
	before := want.PrevKv
	if w.cancelled && sameKV(got.PrevKv, before) {
		before = got.PrevKv // another watch may have the identity by then, and want the record before
	} else if w.cancelled || !w.request.PrevKv || want.Kv.ModRevision-1 < j.mayCompact && got.PrevKv == nil {
		before = nil
	}
	if got.Type != want.Type || !sameKV(got.Kv, want.Kv) || !sameKV(got.PrevKv, before) {
		return fmt.Sprintf("the event is %v %q at %d after %s, want %v %q at %d after %s",
			got.Type, got.Kv.Key, got.Kv.ModRevision, kvText(got.PrevKv), want.Type, want.Kv.Key, want.Kv.ModRevision, kvText(before))
	}
	return ""
}

func sameKV(a, b *mvccpb.KeyValue) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return string(a.Key) == string(b.Key) && string(a.Value) == string(b.Value) && a.CreateRevision == b.CreateRevision &&
		a.ModRevision == b.ModRevision && a.Version == b.Version && a.Lease == b.Lease
}

// progress judges a message that says that all watches of the stream have got everything up to a revision. If the request was made before a
// watch was created, it does not say so of that watch, but etcd may send it after the message that the watch has been created.
func (j *streamJudge) progress(r *pb.WatchResponse) {
	if r.Header.Revision > j.may {
		j.complain("progress at %d of %d", r.Header.Revision, j.may)
	}
	j.told++
	for _, w := range j.watches {
		if !w.created {
			continue
		}
		at := j.due(w)
		fits := !w.compacted && w.request.StartRevision <= r.Header.Revision && (at == 0 || at > r.Header.Revision)
		if !fits && w.asked >= j.told {
			j.leftovers++
			continue
		}
		if w.compacted || w.request.StartRevision > r.Header.Revision {
			j.complain("progress at %d, but the watch is %+v", r.Header.Revision, *w)
		}
		if at != 0 && at <= r.Header.Revision {
			j.complain("progress at %d, but revision %d has not been sent to %+v", r.Header.Revision, at, *w)
		}
	}
}

// due returns the revision of the next event that a watch must get, or zero.
func (j *streamJudge) due(w *judgedWatch) int64 {
	for _, e := range j.events {
		if at := e.Kv.ModRevision; at >= max(w.next, w.from) && at <= j.last {
			if _, sent := w.wants(e); sent {
				return at
			}
		}
	}
	return 0
}

// awaitComplete waits until everything has come, and complains about what does not come.
func (j *streamJudge) awaitComplete(ctx context.Context, atMost time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	for {
		j.mu.Lock()
		missing, changed := j.missing(), j.changed
		j.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			j.complain("compacted %d, %d; last %d, %d; %v", j.compacted, j.mayCompact, j.last, j.may, j.counts)
			j.complaints = append(j.complaints, missing...)
			return
		}
	}
}

func (j *streamJudge) missing() (all []string) {
	for _, c := range j.expected {
		all = append(all, fmt.Sprintf("no answer to a request: %+v", c))
	}
	for _, w := range j.watches {
		if at := j.due(w); at != 0 && !w.compacted {
			all = append(all, fmt.Sprintf("revision %d never comes to %+v, %v", at, *w, w.request))
		}
	}
	return all
}
