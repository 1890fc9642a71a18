package etcdmem

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/watchkv/watchkv/kv/etcd/etcdmem/internal/network"
)

// A Network connects a cluster's clients and its members. It works until one of its methods makes it fail, and again after
// [Network.Mend].
//
// Each method applies to the connections to the given members, or to all members if none is given, and returns at once.
// Faults of different kinds add up. They survive restarts of the members. All methods may be called concurrently.
//
// Messages between members do not pass through it: see [Cluster.Partition].
type Network struct {
	cluster *Cluster
	inner   *network.Network
}

// Network returns the network between the cluster's clients and its members.
func (c *Cluster) Network() *Network { return c.network }

// to returns the links of all clients to members.
func (n *Network) to(members []int) network.Links {
	members = n.cluster.chosen(members)
	addresses := make([]string, len(members))
	for k, i := range members {
		addresses[k] = address(i)
	}
	return n.inner.To(addresses...)
}

// Swallow loses all packets in both directions, as if the machine or its cable were gone. Connections stay open and are
// silent. Writes to them succeed until 64 KiB are held, and then block. New connections hang until their context ends.
func (n *Network) Swallow(members ...int) { n.to(members).Swallow() }

// SwallowRequests loses packets on their way to the members. The answers still arrive, but only 64 KiB of each connection: the
// member gets no acknowledgements.
func (n *Network) SwallowRequests(members ...int) { n.to(members).SwallowRequests() }

// SwallowAnswers loses packets on their way from the members. Members still do what clients ask for, but each connection
// delivers only another 64 KiB of requests.
func (n *Network) SwallowAnswers(members ...int) { n.to(members).SwallowAnswers() }

// Forget silences the existing connections for ever, like a firewall that has lost its state. New connections work at once.
func (n *Network) Forget(members ...int) { n.to(members).Forget() }

// Reset breaks the existing connections: reads and writes fail with syscall.ECONNRESET. New connections work.
func (n *Network) Reset(members ...int) { n.to(members).Reset() }

// Refuse makes new connections fail with syscall.ECONNREFUSED. Existing connections continue to work.
func (n *Network) Refuse(members ...int) { n.to(members).Refuse() }

// Delay delays every byte by d, in each direction. It replaces an earlier Delay. A delay of zero is none.
func (n *Network) Delay(d time.Duration, members ...int) { n.to(members).Delay(d, 0) }

// DelayAround is [Network.Delay], but delays each write by a random time up to jitter more.
func (n *Network) DelayAround(d, jitter time.Duration, members ...int) {
	n.to(members).Delay(d, jitter)
}

// Throttle carries at most that many bytes a second in each direction. All connections to the members of one call share the
// limit. It replaces an earlier Throttle. A limit of zero is none.
func (n *Network) Throttle(bytesPerSecond int, members ...int) {
	n.to(members).Throttle(bytesPerSecond)
}

// Mend ends all faults. What was held is delivered. Connections that were reset or forgotten stay so.
func (n *Network) Mend(members ...int) { n.to(members).Mend() }

// Dial connects to a member as a client does, through the network and its faults. The endpoint is one of
// [Cluster.Endpoints]. It has the form that grpc.WithContextDialer wants. A client of etcd in a bubble needs
// [Cluster.DialOptions].
func (n *Network) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	return n.inner.Dial(ctx, "client", strings.TrimPrefix(endpoint, "http://"))
}
