//go:build !cpeers || !cgo

package peers

import "github.com/lockstep-go/lockstep/kernels"

func native[T kernels.Float]() []Peer[T] { return nil }

func missing() []string {
	return []string{"openblas, blis, onednn: built without them; -tags cpeers and a C compiler add those that are installed (gcc, libopenblas-dev, libblis-dev, libdnnl-dev)"}
}
