package etcd

var (
	ConnectAnew = connectAnew
	Respell     = respell
)
