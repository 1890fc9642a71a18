package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	errNoPasswordUser  = status.Error(codes.Unknown, "auth: authentication failed, password was given for no password user")
	errPasswordTooLong = status.Error(codes.Unknown, "bcrypt: password length exceeds 72 bytes")
)

// changed makes another revision of auth.
func (a *auth) changed() { a.revision++ }

func (w *write) authEnable() (*pb.AuthEnableResponse, error) {
	a := w.auth
	u := a.users[root]
	switch {
	case a.enabled:
	case u == nil:
		return nil, rpctypes.ErrGRPCRootUserNotExist
	case !u.has(root):
		return nil, rpctypes.ErrGRPCRootRoleNotExist
	}
	a.enabled = true
	return &pb.AuthEnableResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) authDisable() (*pb.AuthDisableResponse, error) {
	if w.auth.enabled {
		w.auth.enabled = false
		w.auth.changed()
		w.everywhere(func(s *Server) { s.tokens.clear() })
	}
	return &pb.AuthDisableResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) authStatus() (*pb.AuthStatusResponse, error) {
	return &pb.AuthStatusResponse{Header: new(pb.ResponseHeader), Enabled: w.auth.enabled, AuthRevision: w.auth.revision}, nil
}

// authenticate gives a user, whose password was checked, a token at every member.
func (w *write) authenticate(name, prefix string) (*pb.AuthenticateResponse, error) {
	u := w.auth.users[name]
	switch {
	case !w.auth.enabled:
		return nil, rpctypes.ErrGRPCAuthNotEnabled
	case u == nil || u.noPassword:
		return nil, rpctypes.ErrGRPCAuthFailed
	}
	token := fmt.Sprintf("%s.%d", prefix, w.index-1) // the place before the change that makes the token, as in etcd
	w.everywhere(func(s *Server) { s.tokens.assign(token, name) })
	return &pb.AuthenticateResponse{Header: new(pb.ResponseHeader), Token: token}, nil
}

// sumOf returns the sum of a password. Two passwords have the same sum if bcrypt, with which etcd keeps passwords, cannot tell them apart: it
// repeats a password, with a zero byte at its end, and takes the first 72 bytes.
func sumOf(password string) [sha256.Size]byte {
	key := strings.Repeat(password+"\x00", longestPassword/(len(password)+1)+1)
	return sha256.Sum256([]byte(key[:longestPassword]))
}

// checkPassword returns the revision at which a password is a user's.
func (a *auth) checkPassword(name, password string) (uint64, error) {
	u := a.users[name]
	switch {
	case !a.enabled:
		return 0, rpctypes.ErrGRPCAuthNotEnabled
	case u == nil:
		return 0, rpctypes.ErrGRPCAuthFailed
	case u.noPassword:
		return 0, errNoPasswordUser
	case u.password != sumOf(password):
		return 0, rpctypes.ErrGRPCAuthFailed
	}
	return a.revision, nil
}

func (w *write) userAdd(r *pb.AuthUserAddRequest) (*pb.AuthUserAddResponse, error) {
	a := w.auth
	switch {
	case r.Name == "":
		return nil, rpctypes.ErrGRPCUserEmpty
	case a.users[r.Name] != nil:
		return nil, rpctypes.ErrGRPCUserAlreadyExist
	}
	u := &user{noPassword: r.Options != nil && r.Options.NoPassword}
	if !u.noPassword {
		u.password = sumOf(r.Password)
	}
	a.users[r.Name] = u
	a.changed()
	return &pb.AuthUserAddResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) userDelete(r *pb.AuthUserDeleteRequest) (*pb.AuthUserDeleteResponse, error) {
	a := w.auth
	switch {
	case a.enabled && r.Name == root:
		return nil, rpctypes.ErrGRPCInvalidAuthMgmt
	case a.users[r.Name] == nil:
		return nil, rpctypes.ErrGRPCUserNotFound
	}
	delete(a.users, r.Name)
	a.changed()
	w.forgetTokens(r.Name)
	return &pb.AuthUserDeleteResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) userChangePassword(r *pb.AuthUserChangePasswordRequest) (*pb.AuthUserChangePasswordResponse, error) {
	u := w.auth.users[r.Name]
	if u == nil {
		return nil, rpctypes.ErrGRPCUserNotFound
	}
	var password [sha256.Size]byte
	if !u.noPassword && r.Password != "" {
		password = sumOf(r.Password)
	} else if _, err := base64.StdEncoding.DecodeString(r.HashedPassword); !u.noPassword && err != nil {
		return nil, errNoPasswordUser
	}
	u.password = password
	w.auth.changed()
	w.forgetTokens(r.Name)
	return &pb.AuthUserChangePasswordResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) forgetTokens(name string) {
	w.everywhere(func(s *Server) { s.tokens.forget(name) })
}

func (w *write) userGet(r *pb.AuthUserGetRequest) (*pb.AuthUserGetResponse, error) {
	u := w.auth.users[r.Name]
	if u == nil {
		return nil, rpctypes.ErrGRPCUserNotFound
	}
	return &pb.AuthUserGetResponse{Header: new(pb.ResponseHeader), Roles: slices.Clone(u.roles)}, nil
}

func (w *write) userList() (*pb.AuthUserListResponse, error) {
	return &pb.AuthUserListResponse{Header: new(pb.ResponseHeader), Users: sortedNames(w.auth.users)}, nil
}

func (w *write) userGrantRole(r *pb.AuthUserGrantRoleRequest) (*pb.AuthUserGrantRoleResponse, error) {
	u := w.auth.users[r.User]
	if u == nil {
		return nil, rpctypes.ErrGRPCUserNotFound
	}
	if _, ok := w.auth.roles[r.Role]; !ok && r.Role != root {
		return nil, rpctypes.ErrGRPCRoleNotFound
	}
	if at, granted := slices.BinarySearch(u.roles, r.Role); !granted {
		u.roles = slices.Insert(u.roles, at, r.Role)
		w.auth.changed()
	}
	return &pb.AuthUserGrantRoleResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) userRevokeRole(r *pb.AuthUserRevokeRoleRequest) (*pb.AuthUserRevokeRoleResponse, error) {
	a := w.auth
	u := a.users[r.Name]
	switch {
	case a.enabled && r.Name == root && r.Role == root:
		return nil, rpctypes.ErrGRPCInvalidAuthMgmt
	case u == nil:
		return nil, rpctypes.ErrGRPCUserNotFound
	case !u.has(r.Role):
		return nil, rpctypes.ErrGRPCRoleNotGranted
	}
	u.drop(r.Role)
	a.changed()
	return &pb.AuthUserRevokeRoleResponse{Header: new(pb.ResponseHeader)}, nil
}

func (u *user) drop(role string) {
	u.roles = slices.DeleteFunc(u.roles, func(have string) bool { return have == role })
}

func (w *write) roleAdd(r *pb.AuthRoleAddRequest) (*pb.AuthRoleAddResponse, error) {
	if r.Name == "" {
		return nil, rpctypes.ErrGRPCRoleEmpty
	}
	if _, ok := w.auth.roles[r.Name]; ok {
		return nil, rpctypes.ErrGRPCRoleAlreadyExist
	}
	w.auth.roles[r.Name] = nil
	w.auth.changed()
	return &pb.AuthRoleAddResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) roleGet(r *pb.AuthRoleGetRequest) (*pb.AuthRoleGetResponse, error) {
	permissions, ok := w.auth.roles[r.Role]
	if !ok {
		return nil, rpctypes.ErrGRPCRoleNotFound
	}
	resp := &pb.AuthRoleGetResponse{Header: new(pb.ResponseHeader)}
	if r.Role == root {
		permissions = []permission{{"", "\x00", authpb.READWRITE}}
	}
	for _, p := range permissions {
		resp.Perm = append(resp.Perm, &authpb.Permission{PermType: p.kind, Key: []byte(p.key), RangeEnd: []byte(p.end)})
	}
	return resp, nil
}

func (w *write) roleList() (*pb.AuthRoleListResponse, error) {
	roles := slices.DeleteFunc(sortedNames(w.auth.roles), func(name string) bool { return name >= "\xff" }) // etcd's list ends there
	return &pb.AuthRoleListResponse{Header: new(pb.ResponseHeader), Roles: roles}, nil
}

func (w *write) roleDelete(r *pb.AuthRoleDeleteRequest) (*pb.AuthRoleDeleteResponse, error) {
	a := w.auth
	if a.enabled && r.Role == root {
		return nil, rpctypes.ErrGRPCInvalidAuthMgmt
	}
	if _, ok := a.roles[r.Role]; !ok {
		return nil, rpctypes.ErrGRPCRoleNotFound
	}
	delete(a.roles, r.Role)
	for _, u := range a.users {
		u.drop(r.Role)
	}
	a.changed()
	return &pb.AuthRoleDeleteResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) roleGrantPermission(r *pb.AuthRoleGrantPermissionRequest) (*pb.AuthRoleGrantPermissionResponse, error) {
	if r.Perm == nil {
		return nil, rpctypes.ErrGRPCPermissionNotGiven
	}
	if !validPermission(r.Perm.Key, r.Perm.RangeEnd) {
		return nil, rpctypes.ErrGRPCInvalidAuthMgmt
	}
	permissions, ok := w.auth.roles[r.Name]
	if !ok {
		return nil, rpctypes.ErrGRPCRoleNotFound
	}
	granted := permission{string(r.Perm.Key), string(r.Perm.RangeEnd), r.Perm.PermType}
	at, _ := slices.BinarySearchFunc(permissions, granted.key, func(p permission, key string) int { return cmp.Compare(p.key, key) })
	if at < len(permissions) && permissions[at].key == granted.key && permissions[at].end == granted.end {
		permissions[at] = granted
	} else {
		permissions = append(permissions, granted)
		slices.SortFunc(permissions, func(a, b permission) int { return cmp.Compare(a.key, b.key) }) // as etcd does
	}
	w.auth.roles[r.Name] = permissions
	w.auth.changed()
	return &pb.AuthRoleGrantPermissionResponse{Header: new(pb.ResponseHeader)}, nil
}

func (w *write) roleRevokePermission(r *pb.AuthRoleRevokePermissionRequest) (*pb.AuthRoleRevokePermissionResponse, error) {
	permissions, ok := w.auth.roles[r.Role]
	if !ok {
		return nil, rpctypes.ErrGRPCRoleNotFound
	}
	left := slices.DeleteFunc(slices.Clone(permissions), func(p permission) bool {
		return p.key == string(r.Key) && p.end == string(r.RangeEnd)
	})
	if len(left) == len(permissions) {
		return nil, rpctypes.ErrGRPCPermissionNotGranted
	}
	w.auth.roles[r.Role] = left
	w.auth.changed()
	return &pb.AuthRoleRevokePermissionResponse{Header: new(pb.ResponseHeader)}, nil
}
