package values

import "github.com/watchkv/watchkv/conformance/internal/suite"

// check is a [suite.Check] of what happens in an env.
type check struct {
	guarantee string
	name      string
	does      string
	needs     suite.Ability
	run       func(*env)
}

// Checks returns the checks of V1 to V16 and of M1 to M8, with Values that newValue makes, and with Maps and bundles that maps makes.
func Checks(newValue NewValue, maps Maps) []suite.Check {
	var all []suite.Check
	for _, group := range [][]check{
		firstGetChecks, laterGetChecks, newestChecks, everyUpdateChecks, backwardsChecks, deletionChecks,
		decodeChecks, cancelChecks, closeChecks, concurrentGetChecks, outageChecks,
		sharingChecks, unchangedChecks, latestChecks, ownWriteChecks, auditChecks,
		firstViewChecks, viewChecks, changesChecks, removalChecks, badKeyChecks, unchangedKeyChecks, everyViewChecks, bundleChecks,
	} {
		for _, c := range group {
			all = append(all, suite.Check{Guarantee: c.guarantee, Name: c.name, Does: c.does, Needs: c.needs, Run: func(e *suite.Env) {
				c.run(newEnv(e, newValue, maps))
			}})
		}
	}
	return all
}
