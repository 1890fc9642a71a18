package etcd

import "time"

// standIn takes what comes for a stream whose consumer is busy. It runs only between lend and takeBack, and only if that is longer
// than a moment, so that a quick consumer pays no more for it than setting a timer.
type standIn struct {
	timer *time.Timer   // begins it; nil before the first time
	armed bool          // lend was called, and not yet takeBack
	back  chan struct{} // holds a token when it is to end
	over  chan struct{} // holds a token when it has ended
}

// lendAfter is how long etcd's client is left alone with what it receives.
const lendAfter = 10 * time.Millisecond

// lend has a stand-in take over if the consumer is busy for long. Only the consumer calls it, as it does takeBack.
func (w *stream) lend() {
	s := &w.standIn
	if w.source == nil {
		return
	}
	s.armed = true
	if s.timer != nil {
		s.timer.Reset(lendAfter)
		return
	}
	s.back, s.over = make(chan struct{}, 1), make(chan struct{}, 1)
	s.timer = time.AfterFunc(lendAfter, func() {
		w.drain(s.back)
		s.over <- struct{}{}
	})
}

// takeBack ends the stand-in and waits for its end.
func (w *stream) takeBack() {
	s := &w.standIn
	if !s.armed {
		return
	}
	s.armed = false
	if s.timer.Stop() {
		return
	}
	s.back <- struct{}{}
	<-s.over
	select {
	case <-s.back: // it had ended by itself
	default:
	}
}

// drain receives until it is told to stop, the stream ends, or the buffer is full.
func (w *stream) drain(stop <-chan struct{}) {
	for {
		batch, err := w.receive(stop)
		switch {
		case err == errStopped:
			return
		case err != nil:
			w.held.finish(err)
			return
		case !w.held.add(batch):
			w.letGo()
			w.held.finish(errAgain)
			return
		}
		w.took(batch)
	}
}
