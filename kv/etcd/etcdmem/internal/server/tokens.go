package server

import (
	"context"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"
)

// tokenTTL is how long a token lives that is not used, as etcd has it.
const tokenTTL = 5 * time.Minute

// tokens are the tokens that a member knows. Each use gives one its whole time again, at that member only. The state's mutex
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

// use returns whose token it is.
func (t tokens) use(text string) (user string, ok bool) {
	token := t[text]
	if token == nil || time.Now().After(token.expires) {
		delete(t, text)
		return "", false
	}
	token.expires = time.Now().Add(tokenTTL)
	return token.user, true
}

// caller returns who makes a call. It is nobody if auth is not enabled, or if the call has no token.
func (s *Server) caller(ctx context.Context) (caller, error) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if !s.state.auth.enabled {
		return caller{}, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	texts := md[rpctypes.TokenFieldNameGRPC]
	if len(texts) == 0 {
		texts = md[rpctypes.TokenFieldNameSwagger]
	}
	if len(texts) == 0 {
		return caller{}, nil
	}
	user, ok := s.tokens.use(strings.TrimPrefix(texts[0], "Bearer "))
	if !ok {
		return caller{}, rpctypes.ErrGRPCInvalidAuthToken
	}
	return caller{user, s.state.auth.revision}, nil
}

// check finds out who makes a call, and whether allowed lets him, with the state locked.
func (s *Server) check(ctx context.Context, allowed func(a *auth, c caller) error) error {
	c, err := s.caller(ctx)
	if err != nil {
		return err
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return allowed(&s.state.auth, c)
}
