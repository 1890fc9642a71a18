package server

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// root is the name of the user who may do everything, and of the role that may.
const root = "root"

// auth has the users, their roles and the permissions of the roles.
type auth struct {
	enabled  bool
	revision uint64
	users    map[string]*user
	roles    map[string][]permission // in order of their keys
}

type user struct {
	password   [sha256.Size]byte // the sum of the password; zero if there is no password
	noPassword bool
	roles      []string // sorted
}

type permission struct {
	key, end string
	kind     authpb.Permission_Type
}

func newAuth() *auth {
	return &auth{revision: 1, users: make(map[string]*user), roles: make(map[string][]permission)}
}

func (a *auth) copy() *auth {
	c := &auth{enabled: a.enabled, revision: a.revision, users: make(map[string]*user), roles: make(map[string][]permission)}
	for name, u := range a.users {
		c.users[name] = &user{u.password, u.noPassword, slices.Clone(u.roles)}
	}
	for name, permissions := range a.roles {
		c.roles[name] = slices.Clone(permissions)
	}
	return c
}

func (u *user) has(role string) bool { return slices.Contains(u.roles, role) }

// caller is the user who makes a call. It is zero if the call has no token.
type caller struct {
	user     string
	revision uint64 // the revision of auth when the token was looked up
}

// admin returns an error unless c may do everything.
func (a *auth) admin(c caller) error {
	if !a.enabled {
		return nil
	}
	if c.user == "" {
		return rpctypes.ErrGRPCUserEmpty
	}
	switch u := a.users[c.user]; {
	case u == nil:
		return rpctypes.ErrGRPCUserNotFound
	case !u.has(root):
		return rpctypes.ErrGRPCPermissionDenied
	}
	return nil
}

// known returns an error if c is no user.
func (a *auth) known(c caller) error {
	if a.enabled && c == (caller{}) {
		return rpctypes.ErrGRPCUserEmpty
	}
	return nil
}

func (a *auth) mayRead(c caller, key, end []byte) error  { return a.may(c, key, end, authpb.READ) }
func (a *auth) mayWrite(c caller, key, end []byte) error { return a.may(c, key, end, authpb.WRITE) }

func (a *auth) may(c caller, key, end []byte, kind authpb.Permission_Type) error {
	if !a.enabled {
		return nil
	}
	if c.revision == 0 {
		return rpctypes.ErrGRPCUserEmpty
	}
	if c.revision < a.revision {
		return rpctypes.ErrGRPCAuthOldRevision
	}
	u := a.users[c.user]
	if u == nil || !u.has(root) && !covered(a.granted(u, kind), string(key), string(end)) {
		return rpctypes.ErrGRPCPermissionDenied
	}
	return nil
}

// granted returns the permissions of one kind that the roles of u have, in order of their keys.
func (a *auth) granted(u *user, kind authpb.Permission_Type) (granted []permission) {
	for _, role := range u.roles {
		for _, p := range a.roles[role] {
			if p.kind == kind || p.kind == authpb.READWRITE {
				granted = append(granted, p)
			}
		}
	}
	slices.SortStableFunc(granted, func(a, b permission) int { return cmp.Compare(a.key, b.key) })
	return granted
}

// interval is the interval of keys of a permission or a request. It has no end if open is set.
type interval struct {
	from, to string
	open     bool
}

func intervalOf(key, end string) interval {
	switch end {
	case "":
		return interval{from: key, to: key + "\x00"}
	case "\x00":
		return interval{from: key, open: true}
	}
	return interval{from: key, to: end}
}

// before reports whether i ends at or before key.
func (i interval) before(key string) bool { return !i.open && i.to <= key }

// covered reports whether the permissions together have every key of a request.
func covered(granted []permission, key, end string) bool {
	want := intervalOf(key, end)
	var have interval
	found := false
	for _, p := range granted {
		i := intervalOf(p.key, p.end)
		switch {
		case i.before(want.from) || want.from < i.from && want.before(i.from):
			// it has nothing to do with the request
		case !found:
			have, found = i, true
		case have.before(i.from) && have.to != i.from:
			return false // there are keys between the two
		case i.open || !have.open && i.to > have.to:
			have.to, have.open = i.to, i.open
		}
	}
	return found && have.from <= want.from && (have.open || !want.open && want.to <= have.to)
}

// changesAuth reports whether a change may be one of users, roles and permissions.
func changesAuth(r *pb.InternalRaftRequest) bool {
	return r.AuthEnable != nil || r.AuthDisable != nil ||
		r.AuthUserAdd != nil || r.AuthUserDelete != nil || r.AuthUserChangePassword != nil ||
		r.AuthUserGrantRole != nil || r.AuthUserRevokeRole != nil ||
		r.AuthRoleAdd != nil || r.AuthRoleDelete != nil || r.AuthRoleGrantPermission != nil || r.AuthRoleRevokePermission != nil
}

// permitted returns an error unless c may do the change r. The caller holds the state's mutex.
func (v view) permitted(c caller, r *pb.InternalRaftRequest) error {
	a := v.auth
	switch {
	case r.Put != nil:
		return v.mayPut(c, r.Put)
	case r.DeleteRange != nil:
		return mayDelete(a, c, r.DeleteRange)
	case r.Txn != nil:
		return v.mayTxn(c, r.Txn)
	case r.LeaseRevoke != nil:
		return v.mayEnd(c, r.LeaseRevoke.ID)
	case r.AuthUserGet != nil:
		if err := a.admin(c); err != nil && c.user != r.AuthUserGet.Name {
			return err
		}
		return nil
	case r.AuthRoleGet != nil:
		if err := a.admin(c); err != nil && (a.users[c.user] == nil || !a.users[c.user].has(r.AuthRoleGet.Role)) {
			return err
		}
		return nil
	case r.AuthStatus != nil && anyoneSeesAuth():
		return nil
	case r.LeaseGrant != nil, r.Compaction != nil, r.Alarm != nil, r.Authenticate != nil:
		return nil // what they need was looked at before
	}
	return a.admin(c)
}

func (v view) mayPut(c caller, r *pb.PutRequest) error {
	err := v.auth.mayWrite(c, r.Key, nil)
	if err == nil {
		err = v.mayEnd(c, r.Lease)
	}
	if err == nil && r.PrevKv {
		err = v.auth.mayRead(c, r.Key, nil)
	}
	return err
}

func mayDelete(a *auth, c caller, r *pb.DeleteRangeRequest) error {
	err := a.mayWrite(c, r.Key, r.RangeEnd)
	if err == nil && r.PrevKv {
		err = a.mayRead(c, r.Key, r.RangeEnd)
	}
	return err
}

// mayEnd returns an error unless c may write all keys of a lease, as ending the lease does.
func (v view) mayEnd(c caller, lease int64) error {
	return v.mayAll(c, lease, v.auth.mayWrite)
}

// mayAll returns an error unless c may do something with each key of a lease.
func (v view) mayAll(c caller, lease int64, may func(caller, []byte, []byte) error) error {
	l, ok := v.leases.Get(lease)
	if !ok || v.auth.admin(c) == nil {
		return nil
	}
	for _, key := range v.attached(l) {
		if err := may(c, []byte(key), nil); err != nil {
			return err
		}
	}
	return nil
}

// mayTxn looks at both branches, whichever will be taken.
func (v view) mayTxn(c caller, r *pb.TxnRequest) error {
	for _, compare := range r.Compare {
		if err := v.auth.mayRead(c, compare.Key, compare.RangeEnd); err != nil {
			return err
		}
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			var err error
			switch op := op.Request.(type) {
			case *pb.RequestOp_RequestRange:
				err = v.auth.mayRead(c, op.RequestRange.Key, op.RequestRange.RangeEnd)
			case *pb.RequestOp_RequestPut:
				err = v.mayPut(c, op.RequestPut)
			case *pb.RequestOp_RequestDeleteRange:
				err = mayDelete(v.auth, c, op.RequestDeleteRange)
			case *pb.RequestOp_RequestTxn:
				err = v.mayTxn(c, op.RequestTxn)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// validPermission reports whether a permission is of keys that there can be.
func validPermission(key, end []byte) bool {
	return len(key) > 0 && (len(end) == 0 || bytes.Compare(key, end) < 0 || string(end) == "\x00")
}

// sortedNames returns the names in a map.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
