// The modules that matter are v*.mod, one for each kubelet version; ../run.sh
// builds with them. This file only keeps the directory out of the main module.
module rkepatch.test/judge

go 1.23.0
