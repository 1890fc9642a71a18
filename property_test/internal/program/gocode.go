package program

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// GoString returns p as Go code.
func (p Program) GoString() string {
	var b strings.Builder
	b.WriteString("program.Program{\n")
	for _, step := range p {
		fmt.Fprintf(&b, "\t%s,\n", step.GoString())
	}
	b.WriteString("}")
	return b.String()
}

// GoString returns w as Go code.
func (w Write) GoString() string {
	args := []string{fmt.Sprintf("%q", w.key)}
	name := "Delete"
	if w.kind == kv.EventPut {
		name = "Put"
		args = append(args, fmt.Sprintf("%q", w.value))
	}
	for _, condition := range w.conditions {
		args = append(args, condition.GoString())
	}
	return call(name, args...)
}

func (c commit) GoString() string {
	args := make([]string, len(c.writes))
	for i, w := range c.writes {
		args[i] = w.GoString()
	}
	return call("Commit", args...)
}

func (g get) GoString() string      { return call("Get", rangeCode(g.r)) }
func (c compact) GoString() string  { return call("Compact", c.at.GoString()) }
func (w watch) GoString() string    { return call("Watch", rangeCode(w.r), w.after.GoString()) }
func (r resume) GoString() string   { return call("Resume", fmt.Sprint(r.watch), fmt.Sprint(r.back)) }
func (p progress) GoString() string { return call("Progress") }

// GoString returns r as Go code.
func (r Revision) GoString() string {
	switch plus := fmt.Sprint(int64(r.plus)); r.base {
	case start:
		return call("Start", plus)
	case now:
		return call("Now", plus)
	case lastOf:
		return call("LastOf", fmt.Sprintf("%q", r.key), plus)
	default:
		return call("Exactly", plus)
	}
}

func call(name string, args ...string) string {
	return "program." + name + "(" + strings.Join(args, ", ") + ")"
}

func rangeCode(r kv.Range) string {
	if key, ok := r.Key(); ok {
		return fmt.Sprintf("kv.Key(%q)", key)
	}
	if prefix, ok := r.Prefix(); ok {
		return fmt.Sprintf("kv.Prefix(%q)", prefix)
	}
	switch r {
	case kv.All():
		return "kv.All()"
	case kv.Range{}:
		return "kv.Range{}"
	}
	from, to, _ := r.Bounds()
	return fmt.Sprintf("kv.Interval(%q, %q)", from, to)
}
