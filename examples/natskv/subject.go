package natskv

import (
	"strings"

	"github.com/watchkv/watchkv/kv"
)

// A key becomes the tail of a subject. The parts of the key between slashes are the subject's tokens, so that the
// server can filter by directory: "/app/limits" is "=.app.limits", and everything under "/app/" is "=.app.>".
//
// In a token, letters, digits, '-' and '_' stand for themselves, every other byte is '=' and two hexadecimal digits,
// and an empty part is a lone '='. All of that is allowed in the keys of NATS's own tools.

const (
	emptyPart = "="
	upperHex  = "0123456789ABCDEF"

	// maxSubject is the longest subject that fits into a line of NATS's protocol with the rest of that line. A line has 4096 bytes unless
	// configured. A key of 1 KiB fits, and so do much longer keys of plain letters.
	maxSubject = 3600
)

// noteToken follows the bucket's prefix in the subject of notes, see progress.go. It belongs to no key, because 'n' is no
// hexadecimal digit.
const noteToken = "=note"

func encodeKey(key string) string {
	var b strings.Builder
	for i, part := range strings.Split(key, "/") {
		if i > 0 {
			b.WriteByte('.')
		}
		encodePart(&b, part)
	}
	return b.String()
}

func encodePart(b *strings.Builder, part string) {
	if part == "" {
		b.WriteString(emptyPart)
	}
	for i := range len(part) {
		if c := part[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'=', upperHex[c>>4], upperHex[c&15]})
		}
	}
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// decodeKey reverses encodeKey. A subject that encodeKey cannot make is no key, because two subjects for one key would be two histories.
func decodeKey(tail string) (key string, ok bool) {
	var b strings.Builder
	for i, token := range strings.Split(tail, ".") {
		if i > 0 {
			b.WriteByte('/')
		}
		if token == emptyPart {
			continue
		}
		for len(token) > 0 {
			c := token[0]
			if c == '=' {
				if len(token) < 3 {
					return "", false
				}
				high, low := strings.IndexByte(upperHex, token[1]), strings.IndexByte(upperHex, token[2])
				if high < 0 || low < 0 {
					return "", false
				}
				c, token = byte(high<<4|low), token[2:]
			}
			b.WriteByte(c)
			token = token[1:]
		}
	}
	key = b.String()
	return key, key != "" && encodeKey(key) == tail
}

// filterTail returns a subject filter that lets through every key of r, and others that share its directory.
func filterTail(r kv.Range) string {
	from, to, bounded := r.Bounds()
	common := ""
	switch {
	case r == kv.Prefix(from):
		common = from
	case bounded:
		common = commonPrefix(from, to)
	}
	slash := strings.LastIndexByte(common, '/')
	if slash < 0 {
		return ">"
	}
	return encodeKey(common[:slash]) + ".>" // of "/app/li" it is "=.app.>"
}

// commonPrefix returns the common beginning of all keys between from and to.
func commonPrefix(from, to string) string {
	n := 0
	for n < len(from) && n < len(to) && from[n] == to[n] {
		n++
	}
	return from[:n]
}
