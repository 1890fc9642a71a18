package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// ErrNotLeading is the error of a job that the program does after its term has ended.
var ErrNotLeading = errors.New("another program may lead by now")

// A Term is the time in which a program leads.
type Term struct {
	client   *clientv3.Client
	election *concurrency.Election
}

// Lead calls work each time the program called name becomes the leader, one term after the other. It cancels the context of work when the
// program notices that its term has ended. When ctx ends, Lead gives up the leadership and returns.
func Lead(ctx context.Context, client *clientv3.Client, name string, ttl time.Duration, work func(ctx context.Context, t *Term)) error {
	for {
		err := leadOnce(ctx, client, name, int64(ttl.Seconds()), work)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			time.Sleep(time.Second) // etcd cannot be reached: wait before the next attempt
		}
	}
}

func leadOnce(ctx context.Context, client *clientv3.Client, name string, ttl int64, work func(ctx context.Context, t *Term)) error {
	lease, err := client.Grant(ctx, ttl)
	if err != nil {
		return err
	}
	// The session does not use ctx: after the end of ctx, it still has to give up the leadership.
	session, err := concurrency.NewSession(client, concurrency.WithLease(lease.ID), concurrency.WithTTL(int(ttl)))
	if err != nil {
		return err
	}
	defer session.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-session.Done():
		case <-ctx.Done():
		}
	}()
	if err := prepare(ctx, client, session); err != nil {
		return err
	}
	election := concurrency.NewElection(session, "/jobs/leader")
	if err := election.Campaign(ctx, name); err != nil {
		return err
	}
	work(ctx, &Term{client, election})
	return nil
}

// prepare creates the key that all programs need. The mutex lets only one program do so at a time.
func prepare(ctx context.Context, client *clientv3.Client, session *concurrency.Session) error {
	mutex := concurrency.NewMutex(session, "/jobs/setup")
	if err := mutex.Lock(ctx); err != nil {
		return err
	}
	defer mutex.Unlock(ctx)
	r, err := client.Get(ctx, "/jobs/done")
	if err != nil || len(r.Kvs) > 0 {
		return err
	}
	_, err = client.Put(ctx, "/jobs/done", "0")
	return err
}

// Do records that a job is done, and returns the number of jobs that are done. The same transaction checks that the term still lasts,
// because the program may not have noticed its end yet.
func (t *Term) Do(ctx context.Context, job string) (done int, err error) {
	_, err = concurrency.NewSTM(t.client, func(stm concurrency.STM) error {
		if stm.Rev(t.election.Key()) != t.election.Rev() {
			return ErrNotLeading
		}
		before, err := strconv.Atoi(stm.Get("/jobs/done"))
		if err != nil {
			return err
		}
		done = before + 1
		stm.Put("/jobs/done", strconv.Itoa(done))
		stm.Put("/jobs/last", job)
		return nil
	}, concurrency.WithAbortContext(ctx))
	return done, err
}
