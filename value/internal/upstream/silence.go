package upstream

import "time"

// The check of silence: a watch that has delivered nothing for long may be dead, so the store is asked.

// checkInterval is how long a silence may last before the store is asked; zero for ever.
func (u *upstream) checkInterval() time.Duration {
	d := u.settings.CheckEvery
	if stale := u.settings.MaxStaleness / 2; stale > 0 && (d == 0 || stale < d) {
		d = stale
	}
	return d
}

// checkAfter has the silence since a time checked.
func (s *session) checkAfter(since time.Time) {
	if d := s.checkInterval(); d > 0 {
		s.agenda.set(check, max(0, d-time.Since(since)))
	}
}

// readIfSilent begins a read if the watch has been silent for too long.
func (s *session) readIfSilent() error {
	if left := s.checkInterval() - time.Since(s.heard); left > 0 {
		s.agenda.set(check, left)
	} else {
		s.read()
	}
	return nil
}
