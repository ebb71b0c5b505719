package fleet

import (
	"math/rand/v2"
	"time"
)

// cadence is the time between two polls: short while much happens, longer with
// every poll that shows nothing new.
type cadence struct {
	fastest time.Duration
	now     time.Duration // the interval that is due, before it is spread; zero at first
	random  func() float64
}

const (
	slowdown = 1.5 // from one poll without news to the next
	// slowestOf bounds the interval, as a multiple of the fastest one, and
	// slowest in time unless the fastest is above it.
	slowestOf = 6
	slowest   = time.Minute
	// spread is the part of a slow interval that is left to chance, so that
	// several runs on one Rancher do not poll in step.
	spread = 0.2
)

func newCadence(fastest time.Duration) cadence {
	return cadence{fastest: fastest, random: rand.Float64}
}

// next gives the interval after a poll. It is never below the fastest.
func (c *cadence) next(news bool) time.Duration {
	if news || c.now == 0 {
		c.now = c.fastest
	} else {
		c.now = min(time.Duration(float64(c.now)*slowdown), slowestOf*c.fastest, max(c.fastest, slowest))
	}
	spared := time.Duration(spread * c.random() * float64(c.now))
	return max(c.fastest, c.now-spared)
}
