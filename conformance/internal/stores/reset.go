package stores

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// resetChecks are those of W13: a past that is no longer the store's.
var resetChecks = []check{
	{"W13", "restored", "watches busy keys, twice, and an idle one, takes the store back to a backup, and reads: that is the backup, the busy watches end with ErrReset, and the idle one does too or brings what is new", suite.Backup, func(e *env) {
		e.Put(e.Key("idle"), "v")
		idle := e.Watch(kv.Key(e.Key("idle")), e.Ledger.Last()-1).Through(e.Ledger.Last())
		watches, was := e.watchPastBackup()
		e.afterRestore(was.Revision, watches...)

		got := e.Get(e.All())
		if diff := e.EntriesDiffer(was.Entries, got.Entries); diff != "" {
			e.Errorf("the store was taken back, and does not hold what it held:\n%s", diff)
		}
		e.Ledger.Forget(was.Revision)
		next := e.Watch(e.All(), got.Revision)
		next.Through(e.Put(e.Key("k"), "another future")).ExpectAll()
		e.afterRestoreIdle(idle, was.Revision)
	}},
	{"W13", "bookmarked", "has bookmarks say how far the watch of an idle key is, and takes the store back to before that: it ends with ErrReset", suite.Backup | suite.Progress, func(e *env) {
		put := e.Put(e.Key("idle"), "v")
		was := e.Get(e.All())
		restore := e.Backup() // which may end watches
		idle := e.Watch(kv.Key(e.Key("idle")), put-1).Through(put)
		e.Put(e.Key("k"), "1")
		bookmarkAfter(idle, e.Put(e.Key("k"), "2"))
		restore()
		e.afterRestore(was.Revision, idle)
	}},
	{"W13", "restored-and-written", "restores a backup and writes past the old revisions: a running watch delivers none of these writes as if they followed", suite.Backup, func(e *env) {
		watches, was := e.watchPastBackup()
		before := watches[0].Position()
		e.readable()
		for i := 0; ; i++ {
			rev, err := e.TryPut(e.Store, e.Key("k"), fmt.Sprint("another future ", i))
			e.Must("put", err)
			if rev > before+2 {
				break
			}
		}
		e.readable()
		for _, w := range watches {
			// The next watch after a lost one is none of this matter: the new history has reached its revision.
			if err := e.endAlone(w, was.Revision); !errors.Is(err, kv.ErrUnavailable) {
				e.expectReset(err, was.Revision)
			}
		}
	}},
	{"W13", "lost-stream", "takes the store back to a backup while watches run, ends the streams of the store, and reads: the watches end with ErrReset", suite.Backup | suite.EndStreams, func(e *env) {
		watches, was := e.watchPastBackup()
		e.EndStreams()
		e.afterRestore(was.Revision, watches...)
	}},
	{"W13", "handed-out", "takes the store back to a backup while a watch runs, and watches after revisions that a Get and a watch returned before and that the new history has not reached: each of these watches ends with ErrReset, and one after a revision that no history has reached waits; and all that again", suite.Backup, func(e *env) {
		reached := false
		for range 2 {
			e.Put(e.Key("k"), "before")
			reached = e.handOutLost()
		}
		if reached {
			e.Moot("revisions go on rising after a restore")
		}
	}},
}

// handOutLost has the store hand out revisions, takes it back to before them, and watches after each, unless the new history has
// reached them.
func (e *env) handOutLost() (reached bool) {
	backedUp := e.Get(e.All()).Revision
	restore := e.Backup()
	e.Put(e.Key("k"), "after")
	read := e.Get(e.All()).Revision
	gone, running := e.Watch(e.All(), read), e.Watch(e.All(), read)
	e.Put(e.Key("k"), "after that")
	delivered := e.Put(e.Key("k"), "and after that")
	gone.Through(delivered).Stop()
	running.Through(delivered)
	restore()
	e.Ledger.Forget(backedUp)
	now := e.readable()
	e.endsWithReset(running, backedUp)
	if now >= read {
		return true
	}
	for _, after := range []kv.Revision{read, delivered} {
		for _, r := range []kv.Range{e.All(), kv.Key(e.Key("k")), kv.Key(e.Key("none"))} {
			w := e.Watch(r, after)
			err := endOfPast(w)
			if errors.Is(err, suite.ErrInVain) {
				e.Fatalf("%s waits. The store returned revision %d before it was taken back, and is at %d now: "+
					"its reader would miss what is written until the new history reaches that number", w, after, now)
			}
			e.expectError(w.String(), err, kv.ErrReset)
		}
	}
	future := e.Watch(e.All(), delivered+1_000_000)
	e.underWay(future)
	future.Cancel()
	e.expectContextError("a watch of the future, after a restore", future.UntilEnd(), context.Canceled)
	return false
}

// watchPastBackup backs the store up, writes, reads that from two watches, and takes the store back.
func (e *env) watchPastBackup() (watches []*suite.Watching, was kv.Snapshot) {
	e.Put(e.Key("k"), "long before")
	e.Put(e.Key("k"), "before")
	was = e.Get(e.All())
	restore := e.Backup()
	watches = []*suite.Watching{e.Watch(e.All(), was.Revision-1), e.Watch(e.All(), was.Revision-1)}
	var last kv.Revision
	for i := range 5 {
		last = e.Put(e.Key("k"), fmt.Sprint("after ", i))
	}
	for _, w := range watches {
		w.Through(last).ExpectAll()
	}
	restore()
	return watches, was
}

// afterRestore requires watches to end with ErrReset, without having delivered the store's other future.
func (e *env) afterRestore(backedUp kv.Revision, watches ...*suite.Watching) {
	e.readable()
	for _, w := range watches {
		e.endsWithReset(w, backedUp)
	}
}

func (e *env) endsWithReset(w *suite.Watching, backedUp kv.Revision) {
	e.expectReset(afterLoss(w, e.endAlone(w, backedUp)), backedUp)
}

// endAlone reads until the watch ends, returns how, and requires that no event comes before.
func (e *env) endAlone(w *suite.Watching, backedUp kv.Revision) error {
	read := len(w.Events())
	err := w.UntilEnd()
	if more := len(w.Events()) - read; more > 0 {
		e.Errorf("the store was taken back to revision %d, and the watch went on with %d events as if they followed", backedUp, more)
	}
	return err
}

func (e *env) expectReset(err error, backedUp kv.Revision) {
	if err == nil || errors.Is(err, suite.ErrInVain) {
		e.Errorf("the store was taken back to revision %d, below what the watch has delivered: %s", backedUp, suite.EndText(err))
		return
	}
	e.expectError("the watch", err, kv.ErrReset)
}

// afterRestoreIdle requires that of w too, unless all that it has delivered is still the store's past: then it may
// go on, and has to bring what is new.
func (e *env) afterRestoreIdle(w *suite.Watching, backedUp kv.Revision) {
	position, read := w.Position(), len(w.Events())
	if position > backedUp {
		e.expectError("the watch of an idle key", endOfPast(w), kv.ErrReset)
		return
	}
	rev := e.Put(e.Key("idle"), "another future")
	var got []kv.Event // by w, when it was lost with the restart of a server
	for lost := false; w.Position() < rev; {
		_, err, ok := w.TryNext()
		switch {
		case ok:
		case errors.Is(err, kv.ErrReset):
			return
		case errors.Is(err, kv.ErrUnavailable) && !lost:
			got, lost = w.Events()[read:], true
			w, read = e.Watch(w.R, w.Position()), 0
		default:
			e.Errorf("the store was taken back to revision %d, and the key of a watch at %d put at %d; the watch neither brings that nor ends with ErrReset: %s",
				backedUp, position, rev, suite.EndText(err))
			return
		}
	}
	w.ExpectEvents(append(got, w.Events()[read:]...), position, rev)
}

// endOfPast reads until the watch ends, and returns how.
func endOfPast(w *suite.Watching) error { return afterLoss(w, w.UntilEnd()) }

// afterLoss takes the error that a watch ended with. The check may have ended the streams, and a store that is restarted to be restored may
// lose them again. Then it is the next watch after the same revision that reports what has happened.
func afterLoss(w *suite.Watching, err error) error {
	for range 2 {
		if !errors.Is(err, kv.ErrUnavailable) {
			break
		}
		err = w.E.Watch(w.R, w.Position()).UntilEnd()
	}
	return err
}

// readable reads, by which the store can know of a restore, if it did not know already. It returns the revision of the store.
func (e *env) readable() kv.Revision {
	snapshot, err := e.TryGet(e.Store, e.All())
	if errors.Is(err, kv.ErrReset) { // it has just found out
		snapshot, err = e.TryGet(e.Store, e.All())
	}
	e.Must("get after the restore", err)
	e.Logf("the store is now at %d", snapshot.Revision)
	return snapshot.Revision
}
