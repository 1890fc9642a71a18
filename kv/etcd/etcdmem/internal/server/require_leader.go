package server

import (
	"context"
	"unicode/utf8"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// requiring is a stream that requires a leader. Its context ends with a cause when the member has no leader.
type requiring struct {
	grpc.ServerStream
	ctx context.Context
}

func (r *requiring) Context() context.Context { return r.ctx }

// requiresLeader reports whether the metadata of a request says that it requires a leader. It also checks the API version in the metadata.
func requiresLeader(ctx context.Context) (bool, error) {
	versions := metadata.ValueFromIncomingContext(ctx, rpctypes.MetadataClientAPIVersionKey)
	if len(versions) > 0 && !utf8.ValidString(versions[0]) {
		return false, rpctypes.ErrGRPCInvalidClientAPIVersion
	}
	require := metadata.ValueFromIncomingContext(ctx, rpctypes.MetadataRequireLeaderKey)
	return len(require) > 0 && require[0] == rpctypes.MetadataHasLeader, nil
}

func (s *Server) interceptUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	required, err := requiresLeader(ctx)
	if err != nil {
		return nil, err
	}
	if required && s.member.Status().Leader == 0 {
		return nil, rpctypes.ErrGRPCNoLeader
	}
	return handler(ctx, req)
}

func (s *Server) interceptStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if info.FullMethod == rangeStreamMethod {
		handler = s.rangeStream
	}
	required, err := requiresLeader(stream.Context())
	if err != nil {
		return err
	}
	if !required {
		return handler(srv, stream)
	}
	ctx, release, err := s.member.RequireLeader(stream.Context())
	if err != nil {
		return err
	}
	defer release()
	return handler(srv, &requiring{stream, ctx})
}
