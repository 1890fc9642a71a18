package stores

import (
	"github.com/watchkv/watchkv/conformance/internal/suite"
	"github.com/watchkv/watchkv/kv"
)

// env is a [suite.Env] with the steps and expectations of the checks of stores.
type env struct{ *suite.Env }

// check is a [suite.Check] of a store.
type check struct {
	guarantee string
	name      string
	does      string
	needs     suite.Ability
	run       func(*env)
}

// Checks returns the checks of S1 to S6, W1 to W13, writes, errors and optional abilities.
func Checks() []suite.Check {
	var all []suite.Check
	add := func(group []check, alone bool) {
		for _, c := range group {
			all = append(all, suite.Check{
				Guarantee: c.guarantee, Name: c.name, Does: c.does, Needs: c.needs, Alone: alone, Run: func(e *suite.Env) { c.run(&env{e}) },
			})
		}
	}
	for _, group := range [][]check{
		resetChecks, readChecks, entryChecks, byteChecks,
		gapChecks, orderChecks, atomicChecks, resumeChecks, bookmarkChecks, progressChecks,
		futureChecks, rangeChecks, independenceChecks, endChecks,
		writerChecks, interruptedChecks, statChecks, summaryChecks, acknowledgeChecks, errorChecks, contextChecks,
	} {
		add(group, false)
	}
	add(heldChecks, true)
	add(compactionChecks, false)
	return all
}

// sharedHistory is a store with a long history. Checks only read it.
type sharedHistory struct {
	*env
	start, last kv.Revision // the history is after start, up to last
}

func (e *env) sharedHistory() *sharedHistory {
	long := e.LongHistory()
	return &sharedHistory{&env{long.Env}, long.Start, long.Last}
}
