package upstream

import "time"

// agenda is what a session is to do later. One timer serves all of it, for there may be many Values, and a timer is larger than the rest.
type agenda struct {
	timer *time.Timer
	at    [tasks]time.Time // when each is due; zero for never
}

type task int

const (
	check  task = iota // to see whether the watch has been silent for too long
	notice             // to log that the key is absent
	steady             // to count the connection as one that lasts
	tasks              // how many there are
)

func newAgenda() agenda { return agenda{timer: stoppedTimer()} }

// set has a task be due after d, and no earlier.
func (a *agenda) set(t task, d time.Duration) {
	a.at[t] = time.Now().Add(d)
	a.reset()
}

// due returns a task that is due, and takes it off. It returns tasks if there is none: then the timer fires when the next one is.
func (a *agenda) due() task {
	for t := range a.at {
		if at := a.at[t]; !at.IsZero() && time.Until(at) <= 0 {
			a.at[t] = time.Time{}
			return task(t)
		}
	}
	a.reset()
	return tasks
}

// reset has the timer fire when the first of the tasks is due.
func (a *agenda) reset() {
	var first time.Time
	for _, at := range a.at {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if first.IsZero() {
		a.timer.Stop()
	} else {
		a.timer.Reset(time.Until(first))
	}
}

func (a *agenda) stop() { a.timer.Stop() }

// stoppedTimer is a timer that does not fire before it is reset.
func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
