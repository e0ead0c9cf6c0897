//go:build race

package mlp_test

func init() { raceDetector = true }
