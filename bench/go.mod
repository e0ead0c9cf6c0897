module github.com/lockstep-go/lockstep/bench

go 1.25.0
