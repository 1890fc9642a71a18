package etcdmem

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/server"
)

// launch starts the process of a member on what the member has stored, unless it runs. The caller holds turn.
func (c *Cluster) launch(i int) error {
	if c.node(i) != nil {
		return nil
	}
	tcp, err := c.tcpListener(i)
	if err != nil {
		return err
	}
	l, err := c.network.inner.Listen(address(i))
	if err != nil {
		return err
	}
	c.members.Start(i)
	member := c.members.Member(i)
	n := &node{server: server.New(c.state, member, c.options.server), member: member, stopped: make(chan struct{})}
	c.mu.Lock()
	c.nodes[i] = n
	c.mu.Unlock()
	// Clients can connect at once. They are served when the member has made itself known.
	serving := member.Serving()
	serve := func(l net.Listener) {
		select {
		case <-serving:
			n.server.Serve(l)
		case <-n.stopped:
		}
		l.Close()
	}
	n.serving.Go(func() { serve(l) })
	if tcp != nil {
		n.serving.Go(func() { serve(tcp) })
	}
	return nil
}

// stop ends the process of a member, if it runs. The caller holds turn.
func (c *Cluster) stop(i int) {
	c.mu.Lock()
	n := c.nodes[i]
	c.nodes[i] = nil
	c.mu.Unlock()
	if n == nil {
		return
	}
	close(n.stopped)
	c.network.inner.Kill(address(i))
	c.members.Stop(i)
	n.server.Stop()
	n.serving.Wait()
}

func (c *Cluster) stopAll(members []int) {
	var stopping sync.WaitGroup
	for _, i := range members {
		stopping.Go(func() { c.stop(i) })
	}
	stopping.Wait()
}

// Stop ends the given members, all if none is given, as SIGKILL does: their clients' connections break, a leader does not
// hand over, requests under way get no answer. When it returns, clients that try to connect are refused. What the members
// have stored is kept for [Cluster.Restart]. Members that are stopped already stay so.
func (c *Cluster) Stop(members ...int) {
	members = c.chosen(members)
	c.turn.Lock()
	defer c.turn.Unlock()
	c.stopAll(members)
}

// Restart starts the given members, all if none is given, on what they had when they were stopped. It returns when they
// serve clients. Members that run already are left alone, also frozen ones. What was cut by [Cluster.Partition] is still
// cut. A member that is started where there can be no leader is not waited for: clients can connect to it, and get no
// answer until there is a leader.
func (c *Cluster) Restart(ctx context.Context, members ...int) error {
	members = c.chosen(members)
	err := c.inTurn(func() error { return c.launchAll(members) })
	if err == nil {
		err = c.waitReady(ctx, members)
	}
	if err != nil {
		return fmt.Errorf("etcdmem: restart members %v: %w", members, err)
	}
	return nil
}

func (c *Cluster) launchAll(members []int) error {
	for _, i := range members {
		if err := c.launch(i); err != nil {
			return err
		}
	}
	return nil
}

// waitReady waits until those of members that can have a leader serve clients.
func (c *Cluster) waitReady(ctx context.Context, members []int) error {
	for _, i := range members {
		n := c.node(i)
		if n == nil || !c.now().HasQuorum(i) {
			continue
		}
		select {
		case <-n.member.Serving():
		case <-n.stopped:
			return fmt.Errorf("member %d has stopped", i)
		case <-ctx.Done():
			return fmt.Errorf("wait for member %d to serve: %w", i, ctx.Err())
		}
	}
	return nil
}

// Watchers returns the number of clients' watches that the given member serves, and zero if it is stopped. A watch that a
// client has just given up counts until the member learns of that. To prove that no watch is left, use
// [Cluster.WaitWatchers].
func (c *Cluster) Watchers(member int) int {
	n := c.node(member)
	if n == nil {
		return 0
	}
	return n.server.Watchers()
}

// WaitWatchers waits until the given member serves exactly n watches.
func (c *Cluster) WaitWatchers(ctx context.Context, member, n int) error {
	err, got := error(nil), 0
	if node := c.node(member); node != nil {
		got, err = node.server.WaitWatchers(ctx, n)
	} else if n != 0 {
		<-ctx.Done()
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("etcdmem: wait for member %d to serve %d watches: %w (it serves %d)", member, n, err, got)
	}
	return nil
}
