package server

import (
	"context"
	"math/rand/v2"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// longestPassword is the longest that etcd's function for passwords takes.
const longestPassword = 72

type authService struct {
	pb.UnimplementedAuthServer
	*Server
}

func (s *authService) Authenticate(ctx context.Context, r *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	if err := s.member.ReadIndex(ctx); err != nil {
		return nil, err
	}
	for {
		var checked uint64
		var err error
		s.read(func(v view) { checked, err = v.auth.checkPassword(r.Name, r.Password) })
		if err != nil {
			return nil, err
		}
		internal := &pb.InternalAuthenticateRequest{Name: r.Name, SimpleToken: tokenPrefix()}
		var revision uint64
		resp, err := request(ctx, s.Server, &pb.InternalRaftRequest{Authenticate: internal}, func(w *write) (*pb.AuthenticateResponse, error) {
			revision = w.auth.revision
			return w.authenticate(r.Name, internal.SimpleToken)
		})
		if err != nil || revision == checked { // or the password may have been changed since it was checked
			return resp, err
		}
	}
}

func tokenPrefix() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var prefix [16]byte
	for i := range prefix {
		prefix[i] = letters[rand.IntN(len(letters))]
	}
	return string(prefix[:])
}

func (s *authService) UserAdd(ctx context.Context, r *pb.AuthUserAddRequest) (*pb.AuthUserAddResponse, error) {
	if !(r.Options != nil && r.Options.NoPassword) && len(r.Password) > longestPassword {
		return nil, errPasswordTooLong
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthUserAdd: r}, func(w *write) (*pb.AuthUserAddResponse, error) {
		return w.userAdd(r)
	})
}

func (s *authService) UserChangePassword(ctx context.Context, r *pb.AuthUserChangePasswordRequest) (*pb.AuthUserChangePasswordResponse, error) {
	if len(r.Password) > longestPassword {
		return nil, errPasswordTooLong
	}
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthUserChangePassword: r}, func(w *write) (*pb.AuthUserChangePasswordResponse, error) {
		return w.userChangePassword(r)
	})
}

func (s *authService) AuthEnable(ctx context.Context, r *pb.AuthEnableRequest) (*pb.AuthEnableResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthEnable: r}, func(w *write) (*pb.AuthEnableResponse, error) { return w.authEnable() })
}

func (s *authService) AuthDisable(ctx context.Context, r *pb.AuthDisableRequest) (*pb.AuthDisableResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthDisable: r}, func(w *write) (*pb.AuthDisableResponse, error) { return w.authDisable() })
}

func (s *authService) AuthStatus(ctx context.Context, r *pb.AuthStatusRequest) (*pb.AuthStatusResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthStatus: r}, func(w *write) (*pb.AuthStatusResponse, error) { return w.authStatus() })
}

func (s *authService) UserDelete(ctx context.Context, r *pb.AuthUserDeleteRequest) (*pb.AuthUserDeleteResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthUserDelete: r}, func(w *write) (*pb.AuthUserDeleteResponse, error) { return w.userDelete(r) })
}

func (s *authService) UserGet(ctx context.Context, r *pb.AuthUserGetRequest) (*pb.AuthUserGetResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthUserGet: r}, func(w *write) (*pb.AuthUserGetResponse, error) { return w.userGet(r) })
}

func (s *authService) UserList(ctx context.Context, r *pb.AuthUserListRequest) (*pb.AuthUserListResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthUserList: r}, func(w *write) (*pb.AuthUserListResponse, error) { return w.userList() })
}

func (s *authService) UserGrantRole(ctx context.Context, r *pb.AuthUserGrantRoleRequest) (*pb.AuthUserGrantRoleResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthUserGrantRole: r}, func(w *write) (*pb.AuthUserGrantRoleResponse, error) { return w.userGrantRole(r) })
}

func (s *authService) UserRevokeRole(ctx context.Context, r *pb.AuthUserRevokeRoleRequest) (*pb.AuthUserRevokeRoleResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthUserRevokeRole: r}, func(w *write) (*pb.AuthUserRevokeRoleResponse, error) { return w.userRevokeRole(r) })
}

func (s *authService) RoleAdd(ctx context.Context, r *pb.AuthRoleAddRequest) (*pb.AuthRoleAddResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthRoleAdd: r}, func(w *write) (*pb.AuthRoleAddResponse, error) { return w.roleAdd(r) })
}

func (s *authService) RoleGet(ctx context.Context, r *pb.AuthRoleGetRequest) (*pb.AuthRoleGetResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthRoleGet: r}, func(w *write) (*pb.AuthRoleGetResponse, error) { return w.roleGet(r) })
}

func (s *authService) RoleList(ctx context.Context, r *pb.AuthRoleListRequest) (*pb.AuthRoleListResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthRoleList: r}, func(w *write) (*pb.AuthRoleListResponse, error) { return w.roleList() })
}

func (s *authService) RoleDelete(ctx context.Context, r *pb.AuthRoleDeleteRequest) (*pb.AuthRoleDeleteResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthRoleDelete: r}, func(w *write) (*pb.AuthRoleDeleteResponse, error) { return w.roleDelete(r) })
}

func (s *authService) RoleGrantPermission(ctx context.Context, r *pb.AuthRoleGrantPermissionRequest) (*pb.AuthRoleGrantPermissionResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthRoleGrantPermission: r}, func(w *write) (*pb.AuthRoleGrantPermissionResponse, error) { return w.roleGrantPermission(r) })
}

func (s *authService) RoleRevokePermission(ctx context.Context, r *pb.AuthRoleRevokePermissionRequest) (*pb.AuthRoleRevokePermissionResponse, error) {
	return request(ctx, s.Server, &pb.InternalRaftRequest{AuthRoleRevokePermission: r}, func(w *write) (*pb.AuthRoleRevokePermissionResponse, error) { return w.roleRevokePermission(r) })
}
