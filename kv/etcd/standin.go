package etcd

import "time"

// standIn receives for a watch while the consumer is busy. It runs only between lend and takeBack, and only if that time is longer
// than a moment. So for a quick consumer the only cost is a timer.
type standIn struct {
	timer *time.Timer   // begins the stand-in; nil before the first lend
	armed bool          // lend was called, and takeBack not yet
	back  chan struct{} // holds a token when the stand-in has to end
	over  chan struct{} // holds a token when the stand-in has ended
}

// lendAfter is how long a consumer may be busy before the stand-in begins.
const lendAfter = 10 * time.Millisecond

// lend makes the stand-in begin if the consumer is busy for long. Only the consumer calls lend and takeBack.
func (w *watch) lend() {
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
func (w *watch) takeBack() {
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
	case <-s.back: // the stand-in had ended by itself
	default:
	}
}

// drain receives until stop has a token, the watch ends, or the buffer is full.
func (w *watch) drain(stop <-chan struct{}) {
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
