// Package bench holds the kernels against other implementations of the same
// layers, and against what the machine can do at all. It is a module of its
// own, so that those stay out of the module graph of those who use the kernels.
//
//	go test -bench . -cpu 1 ./bench
//	go test -tags cpeers -bench . -cpu 1 ./bench
//
// The first needs nothing but Go. The tag cpeers adds, through a C compiler,
// the peers OpenBLAS, BLIS and oneDNN as far as they are installed, the limits
// of the machine and the price of a fixed order. On Debian 12, whose versions of
// the libraries are those that are looked for, all of them are
//
//	apt install gcc libopenblas-dev libblis-dev libdnnl-dev python3-numpy python3-torch
//
// where the last two are for the report alone. Names are key=value:
//
//	shape=64x256x256/type=f32/op=forward/backend=avx512
//	shape=64x256x256/type=f32/op=forward/peer=openblas
//
// so that benchstat compares along any of them. BenchmarkPause wants -cpu 2 and
// has metrics of its own: how long the world takes to stop. For one table of
// everything, ours and theirs in turns, see the command in bench/report:
//
//	go run ./bench/report
package bench
