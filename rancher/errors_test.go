package rancher_test

import (
	"errors"
	"fmt"
	"testing"

	"rkepatch/fixtures/simrancher"
	"rkepatch/rancher"
)

// The status of an update whose outcome is unknown is that of its cause.
func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		fault simrancher.Fault
		want  int
	}{
		{simrancher.Fault{Status: 504}, 504}, {simrancher.Fault{Status: 409}, 409}, {simrancher.Fault{Status: 403}, 403},
		{simrancher.Fault{Reset: true}, 0}, {simrancher.Fault{Garble: true}, 0},
	} {
		sim, c := demo(t, rancher.Options{RetryBudget: -1})
		cl, err := c.Cluster(t.Context(), "c-done1")
		if err != nil {
			t.Fatal(err)
		}
		tt.fault.Method = "PUT"
		sim.Inject(tt.fault)
		_, err = c.UpdateConfig(t.Context(), cl, object(t, string(cl.Config)), differences)
		if got := rancher.Status(fmt.Errorf("wrapped: %w", err)); err == nil || got != tt.want {
			t.Errorf("%+v: %v has status %d, want %d", tt.fault, err, got, tt.want)
		}
	}
	if got := rancher.Status(errors.New("another one")); got != 0 {
		t.Errorf("%d", got)
	}
}

func TestNotEnoughNodes(t *testing.T) {
	for text, want := range map[string]struct {
		setting string
		n       int
	}{
		"server error (500): not enough worker nodes ready to upgrade, maxUnavailable: 1, notReady: 2, ready: 4": {"maxUnavailableWorker", 2},
		"not enough control plane nodes ready to upgrade, maxUnavailable: 1, notReady: 1, ready: 2":              {"maxUnavailableControlplane", 1},
		"not enough worker nodes ready to upgrade, maxUnavailable: 1, notReady: 99999999999999999999, ready: 4":  {},
		"not enough something": {}, "": {},
	} {
		setting, n, ok := rancher.NotEnoughNodes(errors.New(text))
		if ok != (want.n > 0) || ok && (setting != want.setting || n != want.n) {
			t.Errorf("%q: %s %d %v, want %+v", text, setting, n, ok, want)
		}
	}
	if _, _, ok := rancher.NotEnoughNodes(nil); ok {
		t.Error("no error is a refusal")
	}
}
