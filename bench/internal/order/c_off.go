//go:build !cpeers || !cgo

package order

import (
	"github.com/lockstep-go/lockstep/bench/internal/peers"
	"github.com/lockstep-go/lockstep/kernels"
)

// InC returns nil: there is no C without the tag cpeers.
func InC[T kernels.Float](l *peers.Layer[T], op Op, free bool) peers.Run { return nil }
