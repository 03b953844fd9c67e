package machineimages

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/machineimages/cloudtest"
	"github.com/open-executor/executor/dev/release/scripttest"
)

// subcommand is what a call does.
func subcommand(call string) string {
	words := strings.Fields(call)
	if words[0] == "gcloud" {
		return words[3]
	}
	return words[2]
}

func changes(call string) bool {
	verb := subcommand(call)
	return !strings.HasPrefix(verb, "describe") && verb != "list" && verb != "get-iam-policy"
}

// faulty is a push that meets a fault, and what is to come of it.
type faulty struct {
	call, mode, scope string
	number            int
}

// faults are: the network is lost at each call in turn; and each kind of call goes wrong once in every way. Kinds that others did before are left out.
func faults(calls []string, others map[string]bool) (all []faulty) {
	lost := []string{cloudtest.Fail, cloudtest.Empty, cloudtest.Malformed}
	first := map[string]int{}
	for i, call := range calls {
		if others[subcommand(call)] {
			continue
		}
		mode := lost[i%len(lost)]
		if changes(call) {
			mode = cloudtest.Fail // what it answers says little; what it did is seen by the next question
		}
		all = append(all, faulty{call, mode, cloudtest.Onward, i + 1})
		if _, seen := first[subcommand(call)]; !seen {
			first[subcommand(call)] = i + 1
		}
	}
	for verb, number := range first {
		others[verb] = true
		modes := []string{cloudtest.Fail, cloudtest.Empty, cloudtest.Hang, cloudtest.Lost}
		if !changes(calls[number-1]) || verb == "copy-image" {
			modes[3] = cloudtest.Malformed
		}
		for _, mode := range modes {
			all = append(all, faulty{calls[number-1], mode, cloudtest.Once, number})
		}
	}
	return all
}

// Wherever a cloud fails, nothing is public that wasn't checked everywhere, the run says what is where, and the next one ends as if nothing had
// been.
func TestPushFaults(t *testing.T) {
	t.Parallel()
	others := map[string]bool{}
	for _, runType := range []string{"tagged_release", "main_everything"} {
		undisturbed := newPush(t, images[0], runType, "eu-west-1")
		undisturbed.succeed(t)
		want := read(t, filepath.Join(undisturbed.state, "cloud.json"))
		calls := lines(undisturbed.calls(t))
		for _, fault := range faults(calls, others) {
			t.Run(fmt.Sprintf("%s/%d_%s_%s_%s", runType, fault.number, subcommand(fault.call), fault.mode, fault.scope), func(t *testing.T) {
				t.Parallel()
				s := newPush(t, images[0], runType, "eu-west-1")
				disturbed := s.with(cloudtest.FaultVariable, fmt.Sprintf("%d %s %s", fault.number, fault.mode, fault.scope))
				if fault.mode == cloudtest.Hang {
					disturbed = disturbed.with("EXECUTOR_CLOUD_TIMEOUT", "4")
				}
				got := disturbed.run(t)
				fault.check(t, s, got)
				checkNothingUnchecked(t, s, lines(s.calls(t)))

				if got.Code != 0 {
					s.succeed(t)
				}
				require.JSONEq(t, want, read(t, filepath.Join(s.state, "cloud.json")))
				require.FileExists(t, filepath.Join(s.place, "published", s.environment["IMAGE_FAMILY"]))
			})
		}
	}
}

func (f faulty) check(t *testing.T, s script, got scripttest.Result) {
	t.Helper()
	silent := f.mode == cloudtest.Empty || f.mode == cloudtest.Malformed
	switch {
	case f.scope == cloudtest.Once && !changes(f.call):
		require.Zero(t, got.Code, "a question is asked again: %s", got.Stderr)
		require.Contains(t, got.Stderr, ": try 2 of 3, since it")
		return
	case silent && got.Code == 0:
		// Only what the next nightly build does as well may go unnoticed.
		require.Contains(t, []string{"deprecate", "delete", "deregister-image", "delete-snapshot"}, subcommand(f.call))
		s.succeed(t)
		return
	}
	require.Equal(t, 1, got.Code)
	require.Contains(t, got.Stderr, "ami.push: what is where now:\n  gcp ")
	require.Contains(t, got.Stderr, "\nami.push: run this again: it goes on from there, and does nothing twice\n")
	require.NotContains(t, got.Stdout, "is published")
	require.NoFileExists(t, filepath.Join(s.place, "published", s.environment["IMAGE_FAMILY"]))
	if f.mode == cloudtest.Hang {
		require.Contains(t, got.Stderr, "it did not answer within 4 s")
	}
	cloud := s.cloud(t)
	for _, region := range s.regions(t) {
		image := cloud.AMI(region, s.name())
		said := reported(got.Stderr, region)
		switch {
		case image == nil:
			require.NotContains(t, said, "ami-")
		case image.Public:
			require.Regexp(t, image.ImageID+" is (public|available, public|available; not known whether it is public)", said)
		default:
			require.NotRegexp(t, "is public$|, public", strings.TrimSuffix(said, "not known whether it is public"))
		}
	}
}

// reported is the line about a place.
func reported(stderr, place string) string {
	for line := range strings.Lines(stderr) {
		if after, found := strings.CutPrefix(line, "  "+place+" "); found {
			return strings.TrimSpace(after)
		}
	}
	return ""
}

// checkNothingUnchecked: before anything is made public, every region has been asked for the image, and what was copied has been seen.
func checkNothingUnchecked(t *testing.T, s script, calls []string) {
	t.Helper()
	public := slices.IndexFunc(calls, func(call string) bool {
		return slices.Contains([]string{"add-iam-policy-binding", "update", "modify-image-attribute"}, subcommand(call))
	})
	if public < 0 {
		cloud := s.cloud(t)
		for _, region := range s.regions(t) {
			if image := cloud.AMI(region, s.name()); image != nil {
				require.False(t, image.Public)
			}
		}
		require.Empty(t, cloud.Google[s.name()].Users)
		return
	}
	wanted := []string{home}
	if s.environment["EXECUTOR_IS_TAGGED_RELEASE"] == "true" {
		wanted = s.regions(t)
	}
	for _, region := range wanted {
		require.True(t, slices.ContainsFunc(calls[:public], func(call string) bool {
			return strings.Contains(call, "describe-images --region "+region+" ") && strings.Contains(call, "Name=name,Values="+s.name())
		}), region)
		require.NotEqual(t, "pending", s.cloud(t).AMI(region, s.name()).State, region)
	}
}

func TestPushInterrupted(t *testing.T) {
	t.Parallel()
	s := newPush(t, images[0], "tagged_release", "eu-west-1")
	got := s.with(cloudtest.FaultVariable, "5 interrupt once").run(t)
	require.Equal(t, 130, got.Code)
	require.Contains(t, s.calls(t), "copy-image")
	require.Equal(t, "a copy was asked for: not known whether it was begun", reported(got.Stderr, "eu-west-1"))
	require.Contains(t, reported(got.Stderr, home), "is available, private")
	s.succeed(t)
}
