package conformance

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/kv"
)

// resetChecks are those of W13: a past that is no longer the store's.
var resetChecks = []check{
	{"W13", "restored", "watches busy keys, twice, and an idle one, takes the store back to a backup, and reads: that is the backup, the busy watches end with ErrReset, and the idle one does too or brings what is new; and all that again", backup, func(e *env) {
		e.put(e.key("idle"), "v")
		idle := e.watch(kv.Key(e.key("idle")), e.ledger.last()-1).through(e.ledger.last())
		watches, was := e.watchPastBackup()
		e.afterRestore(was.Revision, watches...)

		got := e.get(e.all())
		if diff := e.difference(seenEntries(was.Entries), seenEntries(got.Entries)); diff != "" {
			e.Errorf("the store was taken back, and does not hold what it held:\n%s", diff)
		}
		e.ledger.forget(was.Revision)
		next := e.watch(e.all(), got.Revision)
		next.through(e.put(e.key("k"), "another future")).expectAll()
		e.afterRestoreIdle(idle, was.Revision)

		watches, was = e.watchPastBackup()
		e.afterRestore(was.Revision, watches...)
	}},
	{"W13", "bookmarked", "has bookmarks say how far the watch of an idle key is, and takes the store back to before that: it ends with ErrReset", backup | progress, func(e *env) {
		idle := e.watch(kv.Key(e.key("idle")), e.get(e.all()).Revision)
		idle.through(e.put(e.key("idle"), "v"))
		was := e.get(e.all())
		restore := e.backup()
		e.put(e.key("k"), "1")
		idle.bookmarkAfter(e.put(e.key("k"), "2"))
		restore()
		e.afterRestore(was.Revision, idle)
	}},
	{"W13", "restored-and-written", "takes the store back to a backup and writes past the old revisions: a running watch passes none of that on as if it followed", backup, func(e *env) {
		watches, was := e.watchPastBackup()
		before := watches[0].position()
		e.readable()
		for i := 0; ; i++ {
			rev, err := e.tryPut(e.store, e.key("k"), fmt.Sprint("another future ", i))
			e.must("put", err)
			if rev > before+2 {
				break
			}
		}
		e.afterRestore(was.Revision, watches...)
	}},
}

// watchPastBackup backs the store up, writes, reads that from two watches, and takes the store back.
func (e *env) watchPastBackup() (watches []*watching, was kv.Snapshot) {
	e.put(e.key("k"), "before")
	was = e.get(e.all())
	restore := e.backup()
	watches = []*watching{e.watch(e.all(), was.Revision-1), e.watch(e.all(), was.Revision-1)}
	var last kv.Revision
	for i := range 5 {
		last = e.put(e.key("k"), fmt.Sprint("after ", i))
	}
	for _, w := range watches {
		w.through(last).expectAll()
	}
	restore()
	return watches, was
}

// afterRestore requires watches to end with ErrReset, without having told of the store's other future.
func (e *env) afterRestore(backedUp kv.Revision, watches ...*watching) {
	e.readable()
	for _, w := range watches {
		e.endsWithReset(w, backedUp)
	}
}

func (e *env) endsWithReset(w *watching, backedUp kv.Revision) {
	read := len(w.events())
	err := w.endOfPast()
	if more := len(w.events()) - read; more > 0 {
		e.Errorf("the store was taken back to revision %d, and the watch went on with %d events as if they followed", backedUp, more)
	}
	if err == nil || errors.Is(err, errInVain) {
		e.Errorf("the store was taken back to revision %d, below what the watch has delivered: %s", backedUp, endText(err))
		return
	}
	e.expectError("the watch", err, kv.ErrReset)
}

// afterRestoreIdle requires that of w too, unless all that it has delivered is still the store's past: then it may
// go on, and has to bring what is new.
func (e *env) afterRestoreIdle(w *watching, backedUp kv.Revision) {
	position, read := w.position(), len(w.events())
	if position > backedUp {
		e.expectError("the watch of an idle key", w.endOfPast(), kv.ErrReset)
		return
	}
	rev := e.put(e.key("idle"), "another future")
	for w.position() < rev {
		if _, err, ok := w.tryNext(); !ok {
			if err = w.afterLoss(err); !errors.Is(err, kv.ErrReset) {
				e.Errorf("the store was taken back to revision %d, and the key of a watch at %d put at %d; the watch neither brings that nor ends with ErrReset: %s",
					backedUp, position, rev, endText(err))
			}
			return
		}
	}
	w.expectEvents(w.events()[read:], position, rev)
}

// endOfPast reads until the watch ends, and returns how.
func (w *watching) endOfPast() error { return w.afterLoss(w.untilEnd()) }

// afterLoss takes the error that a watch ended with. A store that is restarted to be restored may lose its streams,
// and then it is the next watch after the same revision that says what has happened.
func (w *watching) afterLoss(err error) error {
	if !errors.Is(err, kv.ErrUnavailable) {
		return err
	}
	return w.e.watch(w.r, w.position()).untilEnd()
}

// backup remembers what the store holds, and returns what takes it back.
func (e *env) backup() (restore func()) {
	ctx, cancel := e.bounded()
	defer cancel()
	e.suite.long = nil // it may be of the same store
	e.trace.mark("back the store up")
	back, err := e.backend.Backup(ctx, e.store)
	e.must("Backend.Backup", err)
	return func() {
		ctx, cancel := e.bounded()
		defer cancel()
		e.trace.mark("restore the backup")
		e.must("the restore of Backend.Backup", back(ctx))
	}
}

// readable reads, by which the store can know of a restore, if it did not know already.
func (e *env) readable() {
	snapshot, err := e.tryGet(e.store, e.all())
	if errors.Is(err, kv.ErrReset) { // it has just found out
		snapshot, err = e.tryGet(e.store, e.all())
	}
	e.must("get after the restore", err)
	e.Logf("the store is now at %d", snapshot.Revision)
}
