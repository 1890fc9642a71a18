package rpc

import (
	"fmt"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Program is a list of steps.
type Program []Step

func (p Program) String() string {
	var b strings.Builder
	for i, step := range p {
		fmt.Fprintf(&b, "%3d  %s\n", i, step)
	}
	return b.String()
}

// Step is one call, or one message on a watch stream.
type Step struct {
	Request any              // the request of a call
	Stream  int              // the stream of a message
	Message *pb.WatchRequest // nil in a call
}

func (s Step) String() string {
	if s.Message != nil {
		return fmt.Sprintf("stream %d: %s", s.Stream, text(s.Message))
	}
	return fmt.Sprintf("%s{%s}", strings.TrimPrefix(fmt.Sprintf("%T", s.Request), "*etcdserverpb."), text(s.Request))
}

// text returns a message on one line. Bytes that cannot be printed are escaped.
func text(m any) string { return strings.TrimSpace(fmt.Sprint(m)) }

// Answer is what a client gets during one step.
type Answer struct {
	Response string           // the response or the error of a call
	Streams  map[int][]string // what came on each stream
}

func (a Answer) String() string {
	var b strings.Builder
	b.WriteString(a.Response)
	for s := range maxStreams {
		for _, r := range a.Streams[s] {
			fmt.Fprintf(&b, "\n       stream %d: %s", s, r)
		}
	}
	return b.String()
}

// Difference returns the first difference of two runs of p, or "".
func Difference(p Program, inMemory, onEtcd []Answer) string {
	for i := range p {
		if m, e := inMemory[i].String(), onEtcd[i].String(); m != e {
			return fmt.Sprintf("step %d of\n%vis answered\n  in memory: %s\n  on etcd:   %s", i, p[:i+1], m, e)
		}
	}
	return ""
}
