package upstream

import "time"

// lagWatch notices a stream that stays behind what a read has shown without moving.
type lagWatch struct {
	limit time.Duration
	timer *time.Timer // nil while the stream is not behind
	until time.Time   // when that is too long
}

func (l *lagWatch) start() {
	if l.timer == nil {
		l.until = time.Now().Add(l.limit) // first: the timer must not fire before
		l.timer = time.NewTimer(l.limit)
	}
}

// moved takes, after each batch, whether the stream is still behind.
func (l *lagWatch) moved(behind bool) {
	switch {
	case l.timer == nil:
	case behind:
		l.until = time.Now().Add(l.limit)
		l.timer.Reset(l.limit)
	default:
		l.stop()
	}
}

// over is called when the timer has fired, and returns an error unless the stream has moved since.
func (l *lagWatch) over() error {
	if l.timer == nil || time.Now().Before(l.until) {
		return nil
	}
	return ErrBehind
}

func (l *lagWatch) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

func (l *lagWatch) C() <-chan time.Time {
	if l.timer == nil {
		return nil
	}
	return l.timer.C
}
