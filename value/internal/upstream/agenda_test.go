package upstream

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// Tasks are set at random, and some are set again before they are due. Each task must be due exactly at the time that was set last.
func TestATaskIsDueAtTheTimeThatWasSetLast(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			a := newAgenda()
			defer a.stop()
			want := make(map[task]time.Time)
			next := time.NewTicker(10 * time.Second)
			defer next.Stop()
			for range 30 {
				t0, d := task(random.IntN(int(tasks))), time.Duration(random.IntN(60))*time.Second+time.Second/2
				a.set(t0, d)
				want[t0] = time.Now().Add(d)
				for waiting := true; waiting; {
					select {
					case <-next.C:
						waiting = false
					case <-a.timer.C:
						for got := a.due(); got != tasks; got = a.due() {
							if at, ok := want[got]; !ok || !at.Equal(time.Now()) {
								t.Fatalf("promised: a task is due at the time that was set last; task %d was due at %v, want %v; to run it again: seed %d", got, time.Now(), at, seed)
							}
							delete(want, got)
						}
					}
				}
				for late, at := range want {
					if at.Before(time.Now()) {
						t.Fatalf("promised: a task is due at the time that was set last; task %d was not due at %v; to run it again: seed %d", late, at, seed)
					}
				}
			}
		})
	}
}
