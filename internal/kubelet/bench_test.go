package kubelet

import "testing"

func BenchmarkStart(b *testing.B) {
	p := good(base)
	for b.Loop() {
		Start(Version{1, 32}, p)
	}
}

func BenchmarkForesee(b *testing.B) {
	p := good(base)
	for b.Loop() {
		Foresee(Version{1, 26}, Version{1, 32}, p)
	}
}
