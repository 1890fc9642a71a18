package program

import (
	"fmt"
	"strconv"
	"strings"
)

// Transcript is a program with the right answers.
type Transcript []Exchange

// Exchange is a step and the answer to it. Make one with [Ask].
type Exchange struct {
	step   Step
	answer string
}

// Ask is a step and the lines of its answer.
func Ask(step Step, answer ...string) Exchange {
	return Exchange{step, strings.Join(answer, "\n")}
}

// Program returns the steps of t.
func (t Transcript) Program() Program {
	p := make(Program, len(t))
	for i, exchange := range t {
		p[i] = exchange.step
	}
	return p
}

// Answers returns the answers of t.
func (t Transcript) Answers() Answers {
	answers := make(Answers, len(t))
	for i, exchange := range t {
		answers[i] = exchange.answer
	}
	return answers
}

// GoString returns t as Go code.
func (t Transcript) GoString() string {
	var b strings.Builder
	b.WriteString("program.Transcript{\n")
	for _, exchange := range t {
		fmt.Fprintf(&b, "\t%s,\n", exchange.GoString())
	}
	b.WriteString("}")
	return b.String()
}

// GoString returns e as Go code.
func (e Exchange) GoString() string {
	lines := strings.Split(e.answer, "\n")
	for i, line := range lines {
		lines[i] = strconv.Quote(line)
		if strings.Contains(line, `"`) && strconv.CanBackquote(line) {
			lines[i] = "`" + line + "`"
		}
	}
	if len(lines) == 1 {
		return call("Ask", e.step.GoString(), lines[0])
	}
	return "program.Ask(" + e.step.GoString() + ",\n\t\t" + strings.Join(lines, ",\n\t\t") + ",\n\t)"
}

// Difference compares the answers of two stores to p. It returns "" if they are the same. Otherwise it returns where got differs from
// want, and p with the answers in want, for a regression test.
func Difference(p Program, got, want Answers) string {
	if len(got) != len(p) || len(want) != len(p) {
		return fmt.Sprintf("a program of %d steps has %d answers, and should have %d", len(p), len(got), len(want))
	}
	transcript := make(Transcript, len(p))
	for i, step := range p {
		transcript[i] = Exchange{step, want[i]}
	}
	for i, step := range p {
		if got[i] != want[i] {
			return fmt.Sprintf("a program of %d steps tells the stores apart:\n%#v\nThe answer to step %d, %#v, is\n%s\nand not\n%s",
				len(p), transcript, i+1, step, indent(got[i]), indent(want[i]))
		}
	}
	return ""
}

func indent(text string) string { return "\t" + strings.ReplaceAll(text, "\n", "\n\t") }
