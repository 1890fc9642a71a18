package upstream

import (
	"log/slog"
	"time"
)

// Settings are those options of a Value that its upstream has to know.
type Settings struct {
	Logger       *slog.Logger  // nil for none
	RetryFirst   time.Duration // between two attempts, at first
	RetryMost    time.Duration // and in the end
	CheckEvery   time.Duration // a silent watch is checked; zero for never
	MaxStaleness time.Duration // zero for no limit
}

const (
	// atOnceEvery is how often the store is read and watched again without a delay.
	atOnceEvery = 50 * time.Millisecond
	// AnswerTimeout is how long a read may be without an answer before that counts as an outage, and the key is read
	// once more at the same time.
	AnswerTimeout = 10 * time.Second
	// readAgainSlowly is the same for a store that looks after its own reads, where it is no outage.
	readAgainSlowly = time.Minute
	// readAgainSoon is the same for such a store where little is to be read: the next connection may answer at once.
	readAgainSoon = time.Second
	// StatAbove is how large a value is, in bytes, that is asked for by its metadata first.
	StatAbove = 4 << 10
	// mostReads is how many reads may be under way at the same time.
	mostReads = 2
	// mostSmallReads is the same where little is to be read and a third of the connections may be dead: so many in a row do
	// not all meet a dead one.
	mostSmallReads = 8
	// LeastStaleness is the shortest limit to staleness. The key is read twice in it, so a read has half of it to be answered,
	// which is what a cluster takes whose members are some tens of milliseconds apart.
	LeastStaleness = 100 * time.Millisecond
	// LagTimeout is how long a stream may stay behind what a read has shown, without moving at all, before
	// it counts as dead. It doubles each time that this did not help, up to MostSilence: the link may be slow.
	LagTimeout  = 5 * time.Second
	MostSilence = 10 * time.Minute
	// steadyAfter is how long a connection must last, if it brings nothing, before the log calls an outage over.
	steadyAfter = 5 * time.Second
	// absentNotice is how long a key may be absent before the log says what is waited for.
	absentNotice = 5 * time.Second
)
