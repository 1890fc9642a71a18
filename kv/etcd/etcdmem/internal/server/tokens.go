package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"
)

// tokenTTL is how long an unused token lives, as in etcd.
const tokenTTL = 5 * time.Minute

// tokens are the tokens that a member knows. Each use of a token gives it its whole time again, at that member only. The state's mutex
// guards them.
type tokens map[string]*token

type token struct {
	user    string
	expires time.Time
}

func (t *tokens) clear() { *t = nil }

func (t *tokens) assign(text, user string) {
	if *t == nil {
		*t = make(tokens)
	}
	now := time.Now()
	for text, old := range *t { // so that they do not pile up
		if now.After(old.expires) {
			delete(*t, text)
		}
	}
	(*t)[text] = &token{user, now.Add(tokenTTL)}
}

func (t tokens) forget(user string) {
	for text, token := range t {
		if token.user == user {
			delete(t, text)
		}
	}
}

// use returns the user of a token.
func (t tokens) use(text string) (user string, ok bool) {
	token := t[text]
	if token == nil || time.Now().After(token.expires) {
		delete(t, text)
		return "", false
	}
	token.expires = time.Now().Add(tokenTTL)
	return token.user, true
}

// caller returns the user who makes a call. It is the zero caller if auth is not enabled, or if the call has no token. A token has the place
// in the log before the one at which it was made. If the member has not applied that place, caller waits for it. So a member that lacks only
// the change that made the token refuses it. If a restore has removed that place from the log, the token is refused.
func (s *Server) caller(ctx context.Context) (c caller, err error) {
	enabled, last := false, uint64(0)
	s.read(func(v view) { enabled, last = v.auth.enabled, s.state.last })
	if !enabled {
		return caller{}, nil
	}
	text, ok := tokenOf(ctx)
	if !ok {
		return caller{}, nil
	}
	if _, index, ok := strings.Cut(text, "."); ok {
		if n, err := strconv.ParseUint(index, 10, 64); err == nil && n <= last {
			s.waitApplied(ctx, n)
		}
	}
	s.read(func(v view) {
		user, ok := s.tokens.use(text)
		if c = (caller{user, v.auth.revision}); !ok {
			c, err = caller{}, rpctypes.ErrGRPCInvalidAuthToken
		}
	})
	return c, err
}

// tokenOf returns the token of a call, if it has one.
func tokenOf(ctx context.Context) (text string, ok bool) {
	for _, field := range []string{rpctypes.TokenFieldNameGRPC, rpctypes.TokenFieldNameSwagger} {
		if texts := metadata.ValueFromIncomingContext(ctx, field); len(texts) > 0 {
			return strings.TrimPrefix(texts[0], "Bearer "), true
		}
	}
	return "", false
}

// check returns an error if the user who makes a call is not allowed to.
func (s *Server) check(ctx context.Context, allowed func(a *auth, c caller) error) error {
	return s.checkView(ctx, func(v view, c caller) error { return allowed(v.auth, c) })
}

// checkView is check for a rule that depends on more than auth.
func (s *Server) checkView(ctx context.Context, allowed func(v view, c caller) error) error {
	c, err := s.caller(ctx)
	if err == nil {
		s.read(func(v view) { err = allowed(v, c) })
	}
	return err
}
