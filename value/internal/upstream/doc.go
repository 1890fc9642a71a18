// Package upstream keeps a value supplied from a store. It reads a range and watches it, and when that fails it resumes or reads
// again, for as long as it lasts. It knows no type of values: what it reads and what the watch delivers goes to a [Sink].
//
//   - upstream.go is the loop: one session after the other, with delays between them, and how a read is made.
//   - session.go is one session: a read, then a watch, with reads at the same time.
//   - silence.go is the check of silence: when a read asks the store whether a watch that delivers nothing is dead.
//   - agenda.go is what a session is to do later, with one timer for all of it.
//   - lag.go notices a watch that stays behind what a read has shown.
//   - position.go is a point in the history of a key or a range: what it was at a revision.
//   - audit.go is the audit: which event can follow a position, and what proves a lost event or a replaced history.
//   - freshness.go connects those who want a read with the read that serves them.
//   - health.go keeps what Status reports, and logs outages.
//   - summary.go lets a summary take the place of a read of many keys.
//   - too_large.go finds which value was larger than the store's client accepts.
//   - settings.go has the options and the bounds of time and size.
package upstream
