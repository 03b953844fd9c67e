package dispatch

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/store"
)

// Transform turns a leased job into what an executor reads, in the given payload version (api.JobV1 or api.JobV2). Token,
// queue and the extension members are left to the caller.
//
// Every step's environment ends with the secrets, which win over a variable of the same name; every secret's value is
// redacted as "${{ secrets.NAME }}" (spec frontend A5). The errors are of the user class: the job can't be expressed on
// this wire, and no other executor of that version would fare better.
func Transform(lease store.Lease, version int) (api.Job, error) {
	spec := lease.Spec
	job := api.Job{
		Version:        version,
		ID:             lease.JobID,
		SparseCheckout: []string{},
		Files:          make(map[string]api.File, len(spec.Files)),
		DockerSteps:    []api.DockerStep{},
		CliSteps:       []api.CliStep{},
		RedactedValues: redactions(spec.Secrets),
	}
	if repository := spec.Repository; repository != nil {
		job.RepositoryName = repository.Name
		job.RepositoryDirectory = repository.Directory
		job.Commit = repository.Commit
		job.FetchTags = repository.Tags
		job.ShallowClone = repository.Shallow
		job.SparseCheckout = append(job.SparseCheckout, repository.Sparse...)
	}
	for path, file := range spec.Files {
		if version != api.JobV2 && !utf8.Valid(file.Content) {
			return api.Job{}, fault.Userf("file %q is binary, and this executor reads only job payload version %d, which carries text; "+
				"run executors of version 4.3.0 or newer", path, api.JobV1)
		}
		job.Files[path] = api.File{Content: file.Content}
	}
	if err := addSteps(&job, spec); err != nil {
		return api.Job{}, err
	}
	return job, nil
}

// addSteps sorts the steps into the wire's two lists. An executor runs all container steps before all src steps, so a container
// step behind a src step would run too early: such a job is refused here even if it slipped past the job file's validation.
func addSteps(job *api.Job, spec jobs.Spec) error {
	for i, step := range spec.Steps {
		env := environment(step.Env, spec.Secrets)
		switch {
		case len(step.Src) > 0 && step.Image == "":
			job.CliSteps = append(job.CliSteps, api.CliStep{Key: step.Key, Commands: step.Src, Dir: step.Dir, Env: env})
		case step.Image == "" || len(step.Src) > 0:
			return fault.Userf("steps[%d] (%s) needs either an image or src arguments", i, step.Key)
		case len(job.CliSteps) > 0:
			return fault.Userf("steps[%d] (%s) is a container step behind a src step; executors run all container steps first, "+
				"so put src steps last", i, step.Key)
		default:
			job.DockerSteps = append(job.DockerSteps,
				api.DockerStep{Key: step.Key, Image: step.Image, Commands: append([]string{}, step.Run...), Dir: step.Dir, Env: env})
		}
	}
	return nil
}

// environment renders NAME=value pairs sorted by name, so that the same job always has the same wire form.
func environment(env map[string]string, secrets map[string]jobs.Secret) []string {
	all := make(map[string]string, len(env)+len(secrets))
	maps.Copy(all, env)
	for name, secret := range secrets {
		all[name] = secret.Value
	}
	pairs := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		pairs = append(pairs, name+"="+all[name])
	}
	return pairs
}

// redactions maps secret values to what logs show. An empty value is left out: it would match between any two characters.
// Of several secrets with one value the first by name speaks for all.
func redactions(secrets map[string]jobs.Secret) map[string]string {
	shown := make(map[string]string, len(secrets))
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		value := secrets[name].Value
		if _, taken := shown[value]; value == "" || taken {
			continue
		}
		shown[value] = "${{ secrets." + name + " }}"
	}
	return shown
}
