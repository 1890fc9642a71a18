package etcd

var (
	ReplaceConnections = replaceConnections
	Respell            = respell
)
