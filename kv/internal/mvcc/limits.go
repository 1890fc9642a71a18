package mvcc

// These are the limits of an etcd that is configured with no others.
const (
	MaxRequestBytes = 3 << 19 // of a request that writes
	MaxTxnOps       = 128     // of a transaction, in each of its parts
	// RequestOverhead is how many more bytes a request may have that writes nothing. Only the server's gRPC limits such a
	// request, and its limit leaves room for what surrounds a write.
	RequestOverhead = 512 << 10
)
