package upstream

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAStreamThatStaysBehindIsDead(t *testing.T) {
	const limit = 10 * time.Second
	type step struct {
		after time.Duration
		do    func(l *lagWatch)
	}
	start := func(l *lagWatch) { l.start() }
	behind := func(l *lagWatch) { l.moved(true) }
	there := func(l *lagWatch) { l.moved(false) }
	for name, test := range map[string]struct {
		steps []step
		dead  time.Duration // when the stream is dead; zero for never
	}{
		"it is not behind":                        {nil, 0},
		"it moves without being behind":           {[]step{{0, there}, {time.Second, behind}}, 0},
		"it stays behind":                         {[]step{{0, start}}, limit},
		"another read shows that it is behind":    {[]step{{0, start}, {4 * time.Second, start}, {4 * time.Second, start}}, limit},
		"it moves and is behind":                  {[]step{{0, start}, {9 * time.Second, behind}, {9 * time.Second, behind}}, 28 * time.Second},
		"it moves, and is there":                  {[]step{{0, start}, {9 * time.Second, there}}, 0},
		"it was there, and is behind again later": {[]step{{0, start}, {9 * time.Second, there}, {time.Second, start}}, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lagWatch{limit: limit}
				began := time.Now()
				next := began
				var dead time.Duration
				wait := func(until time.Time) { // like a session
					for dead == 0 && time.Now().Before(until) {
						select {
						case <-l.C():
							if l.over() != nil {
								dead = time.Since(began)
							}
						case <-time.After(time.Until(until)):
						}
					}
				}
				for _, s := range test.steps {
					next = next.Add(s.after)
					wait(next)
					s.do(l)
				}
				wait(next.Add(time.Hour))
				if dead != test.dead {
					t.Errorf("promised: a stream that is behind is dead %v after it last moved; it was reported as dead after %v, want %v", limit, dead, test.dead)
				}
				l.stop()
				if l.C() != nil {
					t.Error("a lagWatch that was stopped still has a timer")
				}
			})
		})
	}
}

// The timer may fire at the moment when the stream moves.
func TestAStreamThatMovedSinceTheTimerFiredIsNotDead(t *testing.T) {
	for name, move := range map[string]func(l *lagWatch){
		"and is behind": func(l *lagWatch) { l.moved(true) },
		"and is there":  func(l *lagWatch) { l.moved(false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lagWatch{limit: time.Second}
				l.start()
				time.Sleep(2 * time.Second)
				move(l)
				if err := l.over(); err != nil {
					t.Errorf("promised: a stream that has moved is not dead; it was reported as dead: %v", err)
				}
				l.stop()
			})
		})
	}
}
