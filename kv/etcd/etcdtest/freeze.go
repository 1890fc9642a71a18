package etcdtest

import (
	"fmt"
	"os"
)

// Freeze suspends the processes of the given members, or of all if none is given, with SIGSTOP. A machine that has run out of memory,
// or that is being migrated, behaves like this. Connections to a frozen member stay open, but nothing answers. A frozen leader
// learns only after [Cluster.Thaw] that another member leads. Freeze does nothing to members that are stopped or frozen already. Stop ends
// a frozen member.
//
// On Linux, Freeze returns when every thread of the processes has stopped: a later request is not answered before
// Thaw. An answer that was sent earlier may still arrive. On other systems a member may run for some milliseconds longer.
//
// Freeze returns an error if the cluster was started without [WithProcesses], and on systems without these signals.
func (c *Cluster) Freeze(members ...int) error { return c.signal(true, members) }

// Thaw resumes the given frozen members, or all if none is given. It returns at once.
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
	c.applyCuts() // links may have been cut or mended while the members were frozen
	c.announce()
	return nil
}

func stopAndWait(p *os.Process) error {
	if err := stop(p); err != nil {
		return err
	}
	return waitFrozen(p)
}
