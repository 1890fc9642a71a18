package etcdtest

import (
	"fmt"
	"os"
)

// Freeze stops the processes of the given members, all if none is given, where they are: with SIGSTOP, as a machine
// does that has run out of memory or is being moved. Connections to them stay open and nothing answers. A frozen
// leader learns that it was deposed only after [Cluster.Thaw]. Members that are stopped or frozen stay so; Stop ends
// a frozen member.
//
// On Linux, Freeze returns when every thread of the processes has stopped: a request sent later is not answered before
// Thaw. An answer that was sent earlier may still arrive. Elsewhere a member may run for some milliseconds longer.
//
// It is for clusters [WithProcesses] and fails on others, and where there are no such signals.
func (c *Cluster) Freeze(members ...int) error { return c.signal(true, members) }

// Thaw lets frozen members go on, all if none is given. It returns at once.
func (c *Cluster) Thaw(members ...int) error { return c.signal(false, members) }

func (c *Cluster) signal(freeze bool, members []int) error {
	send, verb := thaw, "thaw"
	if freeze {
		send, verb = stopAndWait, "freeze"
	}
	members = c.chosen(members)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range members {
		m := c.members[i]
		if !m.started() || m.frozen == freeze {
			continue
		}
		child, ok := m.server.(*childServer)
		if !ok {
			return fmt.Errorf("etcdtest: %s member %d: it has no process of its own", verb, i)
		}
		if err := send(child.cmd.Process); err != nil {
			return fmt.Errorf("etcdtest: %s member %d: %w", verb, i, err)
		}
		m.frozen = freeze
	}
	c.applyCuts() // to those that were frozen when a link was cut or mended
	c.announce()
	return nil
}

func stopAndWait(p *os.Process) error {
	if err := stop(p); err != nil {
		return err
	}
	return waitFrozen(p)
}
