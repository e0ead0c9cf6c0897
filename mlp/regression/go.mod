module github.com/lockstep-go/lockstep/mlp/regression

go 1.25.0
