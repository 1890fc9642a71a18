package stores

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// resetChecks are the checks of W13: watches of a history that the store no longer has.
var resetChecks = []check{
	{"W13", "restored", "watches busy keys twice and an idle key once, restores a backup, and reads: the read returns the backup, the watches of busy keys end with ErrReset, and the watch of the idle key ends so too or delivers what is new", suite.Backup, func(e *env) {
		e.Put(e.Key("idle"), "v")
		idle := e.Watch(kv.Key(e.Key("idle")), e.Ledger.Last()-1).Through(e.Ledger.Last())
		watches, was := e.watchPastBackup()
		e.afterRestore(was.Revision, watches...)

		got := e.Get(e.All())
		if diff := e.EntriesDiffer(was.Entries, got.Entries); diff != "" {
			e.Errorf("after the restore, the store does not hold what it held at the time of the backup:\n%s", diff)
		}
		e.Ledger.Forget(was.Revision)
		if s, ok := e.Store.(kv.Stater); ok {
			e.expectStat(s, e.All(), was.Revision)
		}
		next := e.Watch(e.All(), got.Revision)
		next.Through(e.Put(e.Key("k"), "another future")).ExpectAll()
		e.afterRestoreIdle(idle, was.Revision)
	}},
	{"W13", "bookmarked", "requests a bookmark of the watch of an idle key, and restores a backup from before that bookmark: the watch ends with ErrReset", suite.Backup | suite.Progress, func(e *env) {
		put := e.Put(e.Key("idle"), "v")
		was := e.Get(e.All())
		restore := e.Backup() // before the watch begins, because it may end watches
		idle := e.Watch(kv.Key(e.Key("idle")), put-1).Through(put)
		e.Put(e.Key("k"), "1")
		bookmarkAfter(idle, e.Put(e.Key("k"), "2"))
		restore()
		e.afterRestore(was.Revision, idle)
	}},
	{"W13", "restored-and-written", "restores a backup and writes until revisions are higher than those that were lost: a running watch delivers none of these writes", suite.Backup, func(e *env) {
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
			// A watch that ended with ErrUnavailable is not begun again: the new history has reached its revision, so a new watch may deliver it.
			if err := e.endAlone(w, was.Revision); !errors.Is(err, kv.ErrUnavailable) {
				e.expectReset(err, was.Revision)
			}
		}
	}},
	{"W13", "lost-stream", "restores a backup while watches run, ends the streams of the store, and reads: the watches end with ErrReset", suite.Backup | suite.EndStreams, func(e *env) {
		watches, was := e.watchPastBackup()
		e.EndStreams()
		e.afterRestore(was.Revision, watches...)
	}},
	{"W13", "handed-out", "restores a backup, twice, and watches after lost revisions that a Get and a watch had returned and that the new history has not reached: each of these watches ends with ErrReset, and a watch after a revision that no history has reached waits", suite.Backup, func(e *env) {
		reached := false
		for range 2 {
			e.Put(e.Key("k"), "before")
			reached = e.handOutLost()
		}
		if reached {
			e.Moot("revisions continue to rise after a restore")
		}
	}},
}

// handOutLost lets a Get and a watch return revisions, restores a backup from before them, and watches after each of them. It reports whether
// the new history has reached them: then it begins no watch.
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
				e.Fatalf("%s waits. The store returned revision %d before the restore, and is at revision %d now: "+
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

// watchPastBackup makes a backup, writes, reads these writes from two watches, and restores the backup. It returns the watches and the
// snapshot from before the backup.
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
	e.expectFresh(e.Store, e.All(), last) // so that a cache has what will be lost
	if s, ok := e.Store.(kv.Stater); ok {
		e.expectStat(s, e.All(), last)
	}
	restore()
	return watches, was
}

// afterRestore requires that the watches end with ErrReset and deliver no event of the new history.
func (e *env) afterRestore(backedUp kv.Revision, watches ...*suite.Watching) {
	e.readable()
	for _, w := range watches {
		e.endsWithReset(w, backedUp)
	}
}

// endsWithReset requires that w ends with ErrReset and delivers no event before that.
func (e *env) endsWithReset(w *suite.Watching, backedUp kv.Revision) {
	e.expectReset(afterLoss(w, e.endAlone(w, backedUp)), backedUp)
}

// endAlone reads until w ends, and returns its error. It requires that w delivers no event before that.
func (e *env) endAlone(w *suite.Watching, backedUp kv.Revision) error {
	read := len(w.Events())
	err := w.UntilEnd()
	if more := len(w.Events()) - read; more > 0 {
		e.Errorf("the store was restored to revision %d, but the watch delivered %d more events, as if they followed its history", backedUp, more)
	}
	return err
}

// expectReset requires that err, with which a watch ended, is ErrReset.
func (e *env) expectReset(err error, backedUp kv.Revision) {
	if err == nil || errors.Is(err, suite.ErrInVain) {
		e.Errorf("the store was restored to revision %d, and the watch has delivered later revisions. It should end with kv.ErrReset, but: %s", backedUp, suite.EndText(err))
		return
	}
	e.expectError("the watch", err, kv.ErrReset)
}

// afterRestoreIdle requires that w ends with ErrReset if it had reached a revision after the backup. Otherwise w may also continue, and then it
// must deliver what is new.
func (e *env) afterRestoreIdle(w *suite.Watching, backedUp kv.Revision) {
	position, read := w.Position(), len(w.Events())
	if position > backedUp {
		e.expectError("the watch of an idle key", endOfPast(w), kv.ErrReset)
		return
	}
	rev := e.Put(e.Key("idle"), "another future")
	var got []kv.Event // the events that w delivered before the restart of a server ended it
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
			e.Errorf("the store was restored to revision %d, and then the key of a watch at revision %d was put at revision %d. The watch neither delivers the put nor ends with ErrReset: %s",
				backedUp, position, rev, suite.EndText(err))
			return
		}
	}
	w.ExpectEvents(append(got, w.Events()[read:]...), position, rev)
}

// endOfPast reads until w ends, and returns its error, or that of the watch which replaces w.
func endOfPast(w *suite.Watching) error { return afterLoss(w, w.UntilEnd()) }

// afterLoss takes the error that a watch ended with. If the error is only that the watch lost its stream, a new watch after the same revision
// reports what has happened. This may happen twice: the check may have ended the streams, and a restore may restart the server.
func afterLoss(w *suite.Watching, err error) error {
	for range 2 {
		if !errors.Is(err, kv.ErrUnavailable) {
			break
		}
		err = w.E.Watch(w.R, w.Position()).UntilEnd()
	}
	return err
}

// readable reads, so that the store can find out about a restore. It returns the revision of the store.
func (e *env) readable() kv.Revision {
	snapshot, err := e.TryGet(e.Store, e.All())
	if errors.Is(err, kv.ErrReset) { // this read found out about the restore
		snapshot, err = e.TryGet(e.Store, e.All())
	}
	e.Must("get after the restore", err)
	e.Logf("the store is now at %d", snapshot.Revision)
	return snapshot.Revision
}
