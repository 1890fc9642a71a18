package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/watchkv/watchkv/kv"
	"github.com/watchkv/watchkv/value"
)

// store is what the program needs from its store. The stores of packages kv/etcd and kv/memory have it.
type store interface {
	kv.ReadWriter
	kv.Committer
}

// editor changes the configuration over HTTP. What it writes depends on what the user has seen:
//
//	GET /settings                     the configuration, and its version as ETag
//	PUT /settings                     replaces it, if it still has the version of If-Match
//	PUT /settings/features/NAME       switches one feature on or off, whatever else has changed
type editor struct {
	store store
	// patience is how long a request may take. It must be finite, because a person waits for the answer.
	patience time.Duration
}

func (e *editor) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /settings", e.answering(e.get))
	mux.HandleFunc("PUT /settings", e.answering(e.put))
	mux.HandleFunc("PUT /settings/features/{name}", e.answering(e.switchFeature))
}

// refusal is an error with an HTTP status.
type refusal struct {
	status int
	error
}

func (r refusal) Unwrap() error { return r.error }

// answering limits the time of a request, and turns its error into a status.
func (e *editor) answering(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), e.patience)
		defer cancel()
		err := handle(w, r.WithContext(ctx))
		if err == nil {
			return
		}
		status := http.StatusServiceUnavailable // the store cannot be reached, or the outcome is unknown
		if refused, ok := errors.AsType[refusal](err); ok {
			status = refused.status
		}
		http.Error(w, err.Error(), status)
	}
}

// get shows the configuration in the store. It may be newer than the one with which the program works, and it may be bad. Even then the answer has the
// version, so that a user can repair the configuration.
func (e *editor) get(w http.ResponseWriter, r *http.Request) error {
	now, err := e.store.Get(r.Context(), kv.Prefix(prefix))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", version(now.Entries))
	c, err := decode(now.Entries)
	switch {
	case len(now.Entries) == 0:
		return refusal{http.StatusNotFound, errors.New("there is no configuration yet")}
	case err != nil:
		return refusal{http.StatusInternalServerError, fmt.Errorf("the configuration in the store is bad: %w", err)}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(c)
}

// put replaces the configuration: all keys in one commit, each on the condition that it has not changed since the user has seen it. It also writes the
// keys that the user did not change. Otherwise two users could change two keys concurrently, so that each change alone is good, but both together
// are bad.
func (e *editor) put(w http.ResponseWriter, r *http.Request) error {
	seen := r.Header.Get("If-Match")
	if seen == "" {
		return refusal{http.StatusPreconditionRequired, errors.New("want If-Match with the ETag of GET /settings")}
	}
	var c Config
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&c)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return refusal{http.StatusUnprocessableEntity, err}
	}
	wanted, err := c.encode()
	if err != nil {
		return err
	}
	now, err := e.store.Get(r.Context(), kv.Prefix(prefix))
	if err != nil {
		return err
	}
	if version(now.Entries) != seen {
		return changed(w, now.Entries, wanted)
	}
	revision, err := e.store.Commit(r.Context(), ops(now.Entries, wanted)...)
	switch {
	case err == nil:
		w.Header().Set("ETag", tag(revision, count(now.Entries, wanted)))
		w.WriteHeader(http.StatusNoContent)
		return nil
	case errors.Is(err, kv.ErrConflict): // another user was faster
		if now, err = e.store.Get(r.Context(), kv.Prefix(prefix)); err != nil {
			return err
		}
		return changed(w, now.Entries, wanted)
	case errors.Is(err, kv.ErrPermission), errors.Is(err, kv.ErrTooLarge):
		return refusal{http.StatusForbidden, err}
	}
	// The user may send the same request again. If it has happened, it is not made twice: see changed.
	return fmt.Errorf("%w: %w", value.ErrOutcomeUnknown, err)
}

// changed answers a user who has seen an old version. If the current configuration is what the user wants, it has been written already: by this request,
// by an earlier request whose answer was lost, or by another user who wants the same.
func changed(w http.ResponseWriter, now []kv.Entry, wanted map[string][]byte) error {
	w.Header().Set("ETag", version(now))
	found := 0
	for _, entry := range now {
		if b, ok := wanted[entry.Key]; ok && bytes.Equal(b, entry.Value) {
			found++
		}
	}
	if found < len(wanted) {
		return refusal{http.StatusPreconditionFailed, errors.New("the configuration was changed meanwhile: read it again")}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ops returns the operations that write all wanted values, on the condition that each key still is as in now.
func ops(now []kv.Entry, wanted map[string][]byte) []kv.Op {
	revisions := make(map[string]kv.Revision)
	for _, entry := range now {
		revisions[entry.Key] = entry.ModRevision
	}
	var all []kv.Op
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		all = append(all, kv.PutOp(key, wanted[key], kv.IfRevision(revisions[key])))
	}
	return all
}

// version returns a text that differs for any two states of the keys. A put makes a new newest revision, and a deletion leaves fewer keys.
func version(entries []kv.Entry) string {
	var newest kv.Revision
	for _, e := range entries {
		newest = max(newest, e.ModRevision)
	}
	return tag(newest, len(entries))
}

func tag(newest kv.Revision, keys int) string { return fmt.Sprintf(`"%d-%d"`, newest, keys) }

// count returns how many keys there are after all wanted values were written.
func count(now []kv.Entry, wanted map[string][]byte) int {
	n := len(wanted)
	for _, entry := range now {
		if _, ok := wanted[entry.Key]; !ok {
			n++
		}
	}
	return n
}

// featuresCodec encodes and decodes the features.
var featuresCodec = value.JSONCodec[features]()

// switchFeature needs no version: it changes one thing, and two such changes are the same as one.
func (e *editor) switchFeature(w http.ResponseWriter, r *http.Request) error {
	var on bool
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&on); err != nil {
		return refusal{http.StatusUnprocessableEntity, err}
	}
	_, err := value.Update(r.Context(), e.store, featuresKey, featuresCodec, func(f features, exists bool) (features, error) {
		if !exists {
			return nil, refusal{http.StatusNotFound, errors.New("there is no configuration yet")}
		}
		if f == nil {
			f = make(features)
		}
		f[r.PathValue("name")] = on
		return f, nil
	}, value.Idempotent())
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
